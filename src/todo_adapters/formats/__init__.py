"""Exports of a user's tasks for other programs."""
