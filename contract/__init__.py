"""Enforces openapi/todo.yaml on requests and responses. Contains nothing about tasks, tokens or tables."""
