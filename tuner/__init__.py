"""Searches kernel configurations, on a device or on the compiler's output alone."""
