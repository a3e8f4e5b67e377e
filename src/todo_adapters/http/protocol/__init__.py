"""The contract's vocabulary: requests, parameters, conditions, JSON schemas, responses, errors."""
