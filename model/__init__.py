"""The systems under check: plain SQLAlchemy, as an application would have it."""
