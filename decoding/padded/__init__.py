"""Passes of rows that are padded."""
