"""Whole spaces of configurations, recorded once: strategies run on them with no compiler, and are compared."""
