"""Worlds: real SQLite databases, their lock states, and what was learned of them."""
