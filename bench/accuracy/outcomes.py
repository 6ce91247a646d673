"""Which problems were solved, as text: two hexadecimal digits for eight problems."""

import numpy as np


def pack(solved: np.ndarray) -> str:
    """Outcomes of problems, bool ``[count]``, as text."""
    return np.packbits(np.asarray(solved, bool)).tobytes().hex()


def unpack(text: str, count: int) -> np.ndarray:
    """The inverse of `pack`, bool ``[count]``."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8), count=count).astype(bool)
