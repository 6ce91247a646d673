"""For the first person with an NPU: what is measured on it, how, and the file that comes of it."""

from .command import add_parser

__all__ = ["add_parser"]
