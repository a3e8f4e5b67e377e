"""What fills the ports of the domain: stores, tokens, HTTP, the audit log."""
