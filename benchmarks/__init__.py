"""Benchmarks: what a proof costs, in plain runs. ``make bench`` runs them."""
