"""Examinations: what is seen of clients that are run once, alone."""
