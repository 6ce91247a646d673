"""Largest sizes that kernels take, whatever their configuration."""

MAX_RANK = 256
MAX_FUSED_RANK = 128
"""Of shrink and expand in one operator, which keeps 64 running sums for each rank in the unified buffer."""
MAX_VOCABULARY = (1 << 24) - 1
"""Positions are float32 numbers in the kernels, exact up to there."""
MAX_CHOICES = 1 << 21
"""Largest vocabulary to choose from: 4096 blocks of 512 logits, as many as are sorted at once in the unified buffer."""
