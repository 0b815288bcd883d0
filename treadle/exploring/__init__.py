"""Exploring by hand: a page on which a person drives the clients, and a drawing of all states."""
