"""The same API in other frameworks, one file each, with the optimizations in its favour."""
