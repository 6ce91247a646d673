"""Largest sizes that kernels take, whatever their configuration."""

MAX_RANK = 256
MAX_VOCABULARY = (1 << 24) - 1
"""Positions are float32 numbers in the kernels, exact up to there."""
