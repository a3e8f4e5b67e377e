"""Authentication: verifies tokens that another party issued."""
