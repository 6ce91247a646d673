"""The operations of a compiled program, a family a file: each is translated into a Python closure.

Importing this registers all of them with `core.operations`.
"""

from . import (  # noqa: F401
    arithmetic,
    control,
    copies,
    cube,
    elementwise,
    groups,
    memref,
    multiply,
    ordering,
    placement,
    printing,
    reductions,
    synchronization,
)
