"""What stands between the server and the handlers: each wraps the application inside it."""
