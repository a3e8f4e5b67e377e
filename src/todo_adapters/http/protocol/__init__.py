"""HTTP messages: requests, parameters, conditions, JSON schemas, responses, and every error (`errors.py`)."""
