"""The commands of ``python -m decoding``."""
