"""Drivers, tables, every SQL statement, migrations. Contains nothing about HTTP, tokens or settings."""
