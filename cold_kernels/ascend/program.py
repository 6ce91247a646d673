"""A compiled kernel: the last module of the open compiler, with addresses and synchronisation in it."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from .errors import ToolchainMissing, UnsupportedProgram
from .installation import INSTALL
from .options import CompileOptions

if TYPE_CHECKING:
    from xdsl.dialects.builtin import ModuleOp
    from xdsl.dialects.func import FuncOp

_LOCATION = re.compile(r" loc\(")
_NESTED = re.compile(r'"[^"]*"|[()]')
"""What counts within a location: parentheses that are not within a string."""


@dataclass(frozen=True)
class Program:
    """What `compile_kernel` returns."""

    name: str
    """The kernel's."""
    chip: str
    hivm: str = field(repr=False)
    """MLIR in generic form; operations carry the lines of the Triton source that they come from."""
    signature: Mapping[str, str]
    """The run-time arguments, in the order in which the compiled function takes them, with Triton's types."""
    constants: Mapping[str, object]
    options: CompileOptions = CompileOptions()
    versions: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Of the distributions that compiled it."""

    @cached_property
    def module(self) -> "ModuleOp":
        """The parsed module; operations of HIVM appear as unregistered ones.

        Raises:
            ToolchainMissing: xDSL is not installed.
        """
        try:
            from .parser import parse
        except ImportError as error:
            raise ToolchainMissing(f"a compiled program is read with xDSL: {error}", INSTALL) from error
        return parse(self.hivm)

    @cached_property
    def core_type(self) -> str:
        """ "AIV": vector cores alone; "AIC": cube cores alone; "MIX": both, a function for each."""
        return _core_type(self.module, "hivm.module_core_type")

    @cached_property
    def functions(self) -> Mapping[str, "FuncOp"]:
        """The functions that run on the device, by the kind of core ("AIV", "AIC")."""
        entries = (operation for operation in self.module.ops if "hacc.entry" in operation.attributes)
        return {_core_type(entry, "hivm.func_core_type"): entry for entry in entries}

    @property
    def entry(self) -> "FuncOp":
        """The function that runs on the device.

        Raises:
            UnsupportedProgram: There are two, one for each kind of core; `functions` has them.
        """
        if len(self.functions) != 1:
            names = ", ".join(function.sym_name.data for function in self.functions.values())
            raise UnsupportedProgram(f"{self.name} is a {self.core_type} program with the functions {names}")
        return next(iter(self.functions.values()))

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of chip and module without source locations and the kernel's name: equal where a device runs the
        same.

        Two compilations of one kernel were seen to differ in locations: how deep calls are nested in them.
        """
        text = re.sub(rf'"{re.escape(self.name)}(?=["_])', '"kernel', without_locations(self.hivm))
        return hashlib.sha256(f"{self.chip}\n{text}".encode()).hexdigest()


def without_locations(mlir: str) -> str:
    """The text without ``loc(...)``, whatever is nested in it."""
    kept, end = [], 0
    for start in _LOCATION.finditer(mlir):
        if start.start() < end:
            continue
        kept.append(mlir[end : start.start()])
        depth = 1
        for mark in _NESTED.finditer(mlir, start.end()):
            depth += {"(": 1, ")": -1}.get(mark.group(), 0)
            if not depth:
                end = mark.end()
                break
    return "".join([*kept, mlir[end:]])


def _core_type(operation, name: str) -> str:
    attribute = operation.attributes.get(name)
    found = re.search(r"<(\w+)>", str(attribute))
    if found is None:
        raise UnsupportedProgram(f"{operation.name} says {name} = {attribute}, which names no kind of core")
    return found.group(1)
