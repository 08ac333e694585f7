"""The command line: each command asks the rooms below it; nothing here knows HTTP or SQL."""
