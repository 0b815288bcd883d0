"""The application as it is: its files, what they hold, and what is loaded of it."""
