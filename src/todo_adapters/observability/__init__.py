"""Metrics and traces. Each wraps the store and the application, which do not import it."""
