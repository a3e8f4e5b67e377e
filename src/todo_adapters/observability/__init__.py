"""Metrics and traces: each wraps the store and the application, and neither knows of it."""
