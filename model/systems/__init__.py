"""Small systems with one well-known mistake each: the mistake and its repairs, side by side."""
