"""Arguments of published launches."""

from collections.abc import Mapping

import torch

from ...dtypes import SIGNATURE, TORCH

BY_SIGNATURE = {f"*{signature}": TORCH[name] for name, signature in SIGNATURE.items()}


def untouched(signature: Mapping[str, str], *values) -> list:
    """Arguments by a kernel's signature: a tensor of so many elements for each pointer, the number itself else.

    The memory is not written, so that a tensor of gigabytes takes none: for launches whose flow no value decides. What
    is a tensor already stays it.
    """
    return [
        torch.empty(value, dtype=BY_SIGNATURE[kind]) if kind.startswith("*") and isinstance(value, int) else value
        for kind, value in zip(signature.values(), values, strict=True)
    ]
