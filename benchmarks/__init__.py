"""Measures this server beside others, as ratios in one run."""
