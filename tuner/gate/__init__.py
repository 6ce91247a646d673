"""Counted facts of kernels, held against what was accepted: any change fails."""
