"""What a search runs on: a compiler and a simulated chip, behind one seam."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..code_digest import code_digest
from ..stage import StageCall

MODEL = "cold_kernels.ascend.simulator"
"""What executes and times programs, with all that it imports."""


@dataclass(frozen=True)
class Machine:
    """The compiler and the simulator for one chip.

    Args:
        chip: The chip's figures: ``name``, ``vector_cores``, ``hbm_bytes_per_second``, ``plausible(count)``.
        compile: ``compile(kernel, signature, constants, options) -> program``; options in Triton's words.
        simulate: ``simulate(program, arguments, grid, values) -> Simulation``; with values it looks for hazards too.
        versions: The compiler's parts; another version is another study.
        model: Digest of what a simulated time depends on besides; another model is another study.
    """

    chip: Any
    compile: Callable[[Any, Mapping[str, str], Mapping[str, Any], Mapping[str, Any]], Any]
    simulate: Callable[[Any, list, tuple[int, ...], bool], Any]
    versions: Mapping[str, str]
    model: str

    def compiled(self, call: StageCall) -> tuple[Any, list]:
        """The program of a bound launch, and its run-time arguments in order.

        Raises:
            CompilationFailed: the compiler refuses it.
        """
        signature, constants, arguments = call.specialized()
        return self.compile(call.kernel, signature, constants, call.options), list(arguments.values())

    def run(self, call: StageCall, values: bool) -> Any:
        """Compile a bound launch and simulate it; with ``values`` its outputs are written, and hazards looked for.

        Raises:
            AscendError: it does not compile, or does what the simulator refuses.
        """
        program, arguments = self.compiled(call)
        return self.simulate(program, arguments, call.grid, values)

    def remembering(self, count: int) -> "Machine":
        """The same machine, which keeps the ``count`` programs that were asked for last."""
        programs: OrderedDict[tuple, Any] = OrderedDict()

        def compile(kernel: Any, signature: Mapping, constants: Mapping, options: Mapping) -> Any:
            key = (kernel, *(tuple(sorted(part.items())) for part in (signature, constants, options)))
            if key not in programs:
                programs[key] = self.compile(kernel, signature, constants, options)
            programs.move_to_end(key)
            while len(programs) > count:
                programs.popitem(last=False)
            return programs[key]

        return replace(self, compile=compile)


def programs_digest(machine: Machine, calls: Iterable[StageCall]) -> str:
    """Of the compiled programs of launches, in order: equal where a device runs the same.

    Raises:
        CompilationFailed: one does not compile.
    """
    digests = [machine.compiled(call)[0].digest for call in calls if 0 not in call.grid]
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()[:16]


def ascend_machine(name: str) -> Machine:
    """The open Ascend compiler and the simulator for the chip ``name``, or the one in a chip file.

    Raises:
        ValueError: there is no such chip.
        ToolchainMissing: the compiler, or xDSL, is not installed.
    """
    from .chips import chip_named
    from .errors import ToolchainMissing
    from .installation import INSTALL
    from .toolchain import CompileOptions, compile_kernel, find_toolchain, toolchain_versions

    chip = chip_named(name)
    find_toolchain()
    try:
        from . import simulate
    except ImportError as error:
        raise ToolchainMissing(f"the simulator does not import: {error}", INSTALL) from error

    def compile(kernel, signature, constants, options):
        words = {"multibuffer": "multi_buffer"}
        chosen = CompileOptions(**{words.get(key, key): value for key, value in options.items()})
        return compile_kernel(kernel, signature, constants, chip=chip.name, options=chosen)

    def run(program, arguments, grid, values):
        return simulate(program, arguments, grid, chip=chip, values=values, hazards=values)

    return Machine(chip, compile, run, toolchain_versions(), _model_digest(chip))


def _model_digest(chip: Any) -> str:
    constants = repr([sorted(own.items()) for own in (chip.constants, chip.cube)])  # a chip file's are its own
    return hashlib.sha256(f"{constants}\0{code_digest(MODEL)}".encode()).hexdigest()
