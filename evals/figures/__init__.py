"""Metrics with their intervals, and what they are computed from."""
