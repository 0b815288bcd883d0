"""What must hold for the systems in ``model``: properties, and the scenarios that they are checked in."""
