"""The handlers, one file for each resource: parse, make one call, reply."""
