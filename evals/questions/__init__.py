"""Tasks that ask questions: AD-PL and MMAD."""
