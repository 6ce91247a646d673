"""The operations that are simulated, as a table: ``python -m cold_kernels.ascend.simulator.supported``.

Printed from the registry of handlers and their docstrings; `docs/simulator.md` holds a copy.
"""

from . import dialects  # noqa: F401  (registers every handler)
from .core.operations import HANDLERS

DIALECTS = ("hivm.hir", "memref", "scf", "func", "arith", "math", "annotation", "llvm.intr")


def rows() -> list[tuple[str, list[str], str]]:
    """``(dialect, operations, what is simulated of them)``, a row for each handler, by their first names."""
    found: dict[tuple, list[str]] = {}
    for name, handler in HANDLERS.items():
        dialect, _, operation = name.rpartition(".")
        found.setdefault((DIALECTS.index(dialect), handler), []).append(operation)
    ordered = sorted(found.items(), key=lambda item: (item[0][0], item[1][0]))
    return [(DIALECTS[place], names, summary(handler)) for (place, handler), names in ordered]


def summary(handler) -> str:
    """The first paragraph of a handler's docstring."""
    return " ".join((handler.__doc__ or "").strip().partition("\n\n")[0].split()).replace("``", "`")


def markdown() -> str:
    lines = ["| dialect | operations | what is simulated |", "| --- | --- | --- |"]
    lines += [f"| {dialect} | {', '.join(names)} | {text} |" for dialect, names, text in rows()]
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
