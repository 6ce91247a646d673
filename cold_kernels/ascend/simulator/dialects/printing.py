"""``tl.device_print``: on standard output, as the programs come to it."""

from ..core.operations import Op, handles, is_local, is_memref
from ..trace.events import ScalarAccess


@handles("hivm.hir.debug")
def print_values(translator, op: Op):
    """A number or the elements of a buffer, on standard output, when all pipes are idle (lib/Debug/Debug.cpp)."""
    kind, prefix = (op.attribute(name).data for name in ("debugtype", "prefix"))
    if kind != "print":
        raise op.unsupported(f"debugging by {kind}")
    (value,) = op.operands
    if is_memref(value) and not is_local(value):
        raise op.unsupported("printing global memory")
    slot, core = translator.slot(value), translator.core

    def step(env: list) -> None:
        shown = env[slot]
        core.trace.append(ScalarAccess(True, shown.size if is_memref(value) else 1, op, drains=True))
        if core.values:
            text = shown.read().tolist() if is_memref(value) else shown
            print(f"program {core.block}: {prefix.strip()} {text}")

    return step
