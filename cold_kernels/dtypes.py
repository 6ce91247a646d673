"""The element types of kernels, under Triton's names."""

import torch

TORCH = {
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "fp32": torch.float32,
    "fp64": torch.float64,
    "int8": torch.int8,
    "int16": torch.int16,
    "int32": torch.int32,
    "int64": torch.int64,
    "uint8": torch.uint8,
    "bool": torch.bool,
}
TRITON = {dtype: name for name, dtype in TORCH.items()}
SIGNATURE = {name: name.replace("uint", "u").replace("int", "i").replace("bool", "i1") for name in TORCH}


def dtype_name(dtype: torch.dtype) -> str:
    """Triton's name of a torch dtype, e.g. ``fp16``.

    Raises:
        ValueError: the type has no counterpart in a kernel's signature.
    """
    try:
        return TRITON[dtype]
    except KeyError:
        raise ValueError(f"{dtype} cannot be passed to a kernel; use one of {', '.join(TORCH)}") from None
