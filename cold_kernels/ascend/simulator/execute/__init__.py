"""A compiled program run on a grid: translated once, then executed program by program."""
