"""Tokens, keys, ownership, passwords and rate limits. Contains nothing about tasks."""
