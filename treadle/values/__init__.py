"""Frozen values: all that the parts of Treadle tell each other. Nothing live hides in them."""
