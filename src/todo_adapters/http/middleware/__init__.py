"""The layers between the server and the handlers; each wraps the application inside it."""
