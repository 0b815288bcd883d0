"""Searches: ways to walk the product, one policy a file."""
