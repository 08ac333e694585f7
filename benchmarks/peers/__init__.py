"""The same API as others would write it: one file each, with what was done in its favour."""
