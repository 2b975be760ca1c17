"""What people get to see of a run: pages, tables, summaries, trackers."""
