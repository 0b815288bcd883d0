"""Searching with several processes: each visits its part of the states."""
