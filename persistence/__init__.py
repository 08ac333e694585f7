"""The data: engine, tables, every SQL statement, migrations; nothing here knows HTTP, tokens or settings."""
