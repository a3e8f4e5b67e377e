"""The HTTP server below the application: uvicorn's, with bounds, refusals and an orderly end of its own."""
