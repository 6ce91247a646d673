"""Passes of any tokens of any rows."""
