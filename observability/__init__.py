"""What an operator sees of the server: figures, log lines, traces; nothing here knows a task or a token."""
