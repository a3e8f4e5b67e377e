"""A user's tasks in formats of other programs."""
