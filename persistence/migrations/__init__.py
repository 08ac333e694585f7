"""Every change to the schema, in order; run by persistence/schema.py."""
