"""Run the app in uvicorn: its connections, its worker processes, startup and shutdown."""
