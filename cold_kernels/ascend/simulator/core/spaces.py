"""The memories of a core, by HIVM's names of their address spaces."""

import numpy as np
from xdsl.ir import SSAValue

from ...chips import L0_BYTES, L0C_BYTES, L1_BYTES, UB_BYTES
from .memory import Allocation
from .operations import is_memref

GM, UB, L1, L0A, L0B, L0C, BIAS_TABLE = "gm", "ub", "cbuf", "ca", "cb", "cc", "bt"
NAMES = {UB: "the unified buffer", L1: "L1", L0A: "L0A", L0B: "L0B", L0C: "L0C", BIAS_TABLE: "the bias table"}
BIAS_BYTES = 1024
"""CANN platform_config Ascend910B3.ini, bt."""
VECTOR_CORE = {UB: UB_BYTES}
CUBE_CORE = {L1: L1_BYTES, L0A: L0_BYTES, L0B: L0_BYTES, L0C: L0C_BYTES, BIAS_TABLE: BIAS_BYTES}
"""Bytes of each memory; the program names L1 and L0C, the device library the others."""

POISON = 0xFF
"""Byte that fills a core's memories before a program runs: NaN in every float type."""


def memories(cube: bool) -> dict[str, np.ndarray]:
    """The memories of one core as bytes, filled with `POISON`."""
    return {name: np.full(size, POISON, np.uint8) for name, size in (CUBE_CORE if cube else VECTOR_CORE).items()}


def space_of(value: SSAValue) -> str:
    """The address space of a memref, ``gm`` for global memory; empty for anything else."""
    if not is_memref(value):
        return ""
    return str(value.type.memory_space).rpartition("<")[2].rstrip(">")


class Workspace(Allocation):
    """Global memory in which the cores of a group hand data to each other: what it holds afterwards means nothing."""

    __slots__ = ()
