"""The layers between the server and the handlers, in this order: edge, admission, direct_calls, authentication."""
