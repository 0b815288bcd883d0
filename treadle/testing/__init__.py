"""Tests that are written with pytest: their settings, what is known of them, and how they fail."""
