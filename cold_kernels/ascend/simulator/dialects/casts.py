"""Conversions between element types, with the rounding and saturation that HIVM names."""

from collections.abc import Callable

import numpy as np

from ..core.memory import BIT, ELEMENT_TYPES
from ..core.operations import Op

FLOATS = ("f16", "bf16", "f32", "f64")
EXACT_BITS = {"f16": 11, "bf16": 8, "f32": 24, "f64": 53}
"""Integers of so many bits are exact in the type."""

LEAST_EXPONENT = {"f16": -13, "bf16": -125}
"""``frexp``'s exponent of the smallest normal number; below it the spacing stays."""


def _half_away(values: np.ndarray) -> np.ndarray:
    return np.trunc(values + np.copysign(0.5, values))


ROUND = {"rint": np.rint, "round": _half_away, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc}


def conversion(op: Op, source: str, target: str, mode: str, signedness: str) -> Callable[[np.ndarray], np.ndarray]:
    """The function from elements of ``source`` to elements of ``target``.

    Float to integer rounds by ``mode`` and saturates, NaN giving 0; integer to integer saturates unless the
    mode is ``truncwithoverflow``, which keeps the low bits; float to a narrower float rounds by ``mode`` onto the
    numbers that it has, and what is too large becomes infinite.
    """
    if signedness == "bitcast":
        return lambda values: values.view(ELEMENT_TYPES[target])
    unsigned = signedness == "cast_unsigned"
    if source == BIT:
        return lambda values: values.astype(ELEMENT_TYPES[target])
    if target == BIT:
        return lambda values: values != 0
    if source in FLOATS and target in FLOATS:
        return _float_to_float(op, source, target, mode)
    if source in FLOATS:
        if mode not in ROUND:
            raise op.unsupported(f"rounding {mode} from {source} to {target}")
        return lambda values: _saturated(ROUND[mode](values.astype(np.float64)), target, unsigned)
    read = _as_unsigned if unsigned else np.asarray
    if target in FLOATS:
        if mode != "rint" and 8 * ELEMENT_TYPES[source].itemsize > EXACT_BITS[target]:
            raise op.unsupported(f"rounding {mode} from {source} to {target}")
        return lambda values: read(values).astype(ELEMENT_TYPES[target])
    if mode == "truncwithoverflow":
        return lambda values: read(values).astype(ELEMENT_TYPES[target])
    return lambda values: _saturated(read(values), target, unsigned)


def _float_to_float(op: Op, source: str, target: str, mode: str) -> Callable[[np.ndarray], np.ndarray]:
    if source == target and mode in ROUND:
        return lambda values: ROUND[mode](values).astype(values.dtype)
    dtype = ELEMENT_TYPES[target]
    if mode == "rint" or ELEMENT_TYPES[source].itemsize < dtype.itemsize:
        return lambda values: values.astype(dtype)
    if mode not in ROUND or target not in LEAST_EXPONENT:
        raise op.unsupported(f"rounding {mode} from {source} to {target}")

    def round_to_grid(values: np.ndarray) -> np.ndarray:
        values = values.astype(np.float64)
        exponent = np.maximum(np.frexp(values)[1], LEAST_EXPONENT[target])
        spacing = np.ldexp(1.0, exponent - EXACT_BITS[target])
        return (ROUND[mode](values / spacing) * spacing).astype(dtype)

    return round_to_grid


def _as_unsigned(values: np.ndarray) -> np.ndarray:
    return values.view(f"u{values.dtype.itemsize}")


def _saturated(values: np.ndarray, target: str, unsigned: bool) -> np.ndarray:
    dtype = ELEMENT_TYPES[target]
    limits = np.iinfo(f"u{dtype.itemsize}" if unsigned else dtype)
    if np.issubdtype(values.dtype, np.floating):
        whole = np.where(np.isnan(values), 0, values)
        inside = np.where(whole >= limits.max, 0, np.clip(whole, limits.min, None)).astype(limits.dtype)
        return np.where(whole >= limits.max, limits.dtype.type(limits.max), inside).view(dtype)
    return np.clip(values, limits.min, limits.max).astype(limits.dtype).view(dtype)
