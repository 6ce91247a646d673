"""Compiled programs broken on purpose, and how many of the wrong ones are found."""
