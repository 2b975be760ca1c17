"""AD-PL text about drawn cases: questions on an image pair, and four answers each whose faults are known."""
