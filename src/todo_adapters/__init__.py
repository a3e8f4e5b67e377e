"""The adapters of the domain's ports: stores, authentication, HTTP, the audit log."""
