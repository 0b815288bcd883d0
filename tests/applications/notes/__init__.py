"""Notes: an application of which each worker brings the database up to date when it starts."""
