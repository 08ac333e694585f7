"""Promises, held through HTTP against the real server on real databases."""
