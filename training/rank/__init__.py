"""Answers ranked by people: sampled, put in order, compared between raters, written as AD-PL."""
