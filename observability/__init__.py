"""Metrics, log records and traces. Contains nothing about tasks or tokens."""
