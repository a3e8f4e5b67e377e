"""The handlers, one file for each resource. A handler parses, makes one call, and replies."""
