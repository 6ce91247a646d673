"""Which problems were solved, as text: two hexadecimal digits for eight problems."""

import numpy as np


def pack(solved: list[int]) -> str:
    """Outcomes of problems, 0 or 1 each, as text."""
    return np.packbits(np.array(solved, np.uint8)).tobytes().hex()


def unpack(text: str, count: int) -> np.ndarray:
    """The inverse of `pack`, bool ``[count]``."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8), count=count).astype(bool)
