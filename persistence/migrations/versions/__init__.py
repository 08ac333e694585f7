"""A file per change."""
