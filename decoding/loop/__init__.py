"""Passes and choices, until all requests are done."""
