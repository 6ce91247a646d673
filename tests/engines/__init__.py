"""Engines that people run, with this project in them; in environments of their own: ``python -m tests.engines``."""
