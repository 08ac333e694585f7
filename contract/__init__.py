"""What holds requests and answers to openapi/todo.yaml; nothing here knows a task, a token or a table."""
