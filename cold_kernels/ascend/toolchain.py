"""Triton function -> HIVM: the whole way of a kernel through the compiler, with no device and no CANN."""

from collections.abc import Mapping
from dataclasses import asdict

from ..files import check_room
from ..source import kernel_source
from . import cache
from .bishengir import Compiler
from .chips import chip_named
from .errors import CompilationFailed
from .frontend import frontend
from .installation import find_toolchain, mixed_triton, toolchain_problem, toolchain_versions
from .options import CompileOptions
from .program import Program
from .specialization import specialize
from .worker import in_worker

__all__ = [
    "CompileOptions",
    "compile_kernel",
    "find_toolchain",
    "mixed_triton",
    "toolchain_problem",
    "toolchain_versions",
]


def compile_kernel(
    fn,
    signature: Mapping[str, str],
    constants: Mapping[str, object],
    *,
    chip: str = "Ascend910B3",
    options: CompileOptions = CompileOptions(),
    attrs: Mapping[str, int] | None = None,
    timeout: float = 60.0,
) -> Program:
    """Compiles a Triton kernel as a launch on `chip` would, up to the closed back end.

    The kernel is imported afresh in another process, by its module's name or from its file: values that this
    process has put into its module since do not count. Outcomes are kept on disk, failures too.

    Args:
        fn: A kernel at the top level of a file, wrapped by `triton.jit`, compiled or interpreted.
        signature: The run-time arguments and their types: `{"x_ptr": "*fp16", "n": "i32"}`.
        constants: The values of the `tl.constexpr` parameters, and of others that shall be fixed.
        chip: A name in `chips.CHIPS`.
        options: Compiler switches.
        attrs: What a launch promises of run-time arguments. 16: divisible by 16, which is carried along and
            was not seen to change an operation. 1: an integer equal to one, which makes it a constant.
        timeout: Seconds for each of the compiler's three processes.

    Raises:
        ValueError: An argument of this function is wrong; nothing was started.
        ToolchainMissing: The compiler is not installed.
        CompilationFailed: The kernel does not compile; `UnifiedBufferOverflow` if its tiles are too large.
        OSError: The disk with the scratch files is full, so that a failure says nothing of the kernel.
    """
    chip_named(chip)
    if not isinstance(options, CompileOptions):
        raise ValueError(f"options must be CompileOptions, not {type(options).__name__}")
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
        raise ValueError(f"timeout is {timeout!r}; it must be a number of seconds above 0")
    chosen = specialize(fn, signature, constants, attrs)
    source = kernel_source(fn)
    if "<locals>" in source.qualname:
        raise ValueError(f"{source.qualname} is defined inside a function; the compiler needs it at a file's top level")
    if in_worker():
        raise RuntimeError(
            f"{source.file} compiles a kernel when imported: move that under `if __name__ == '__main__':`"
        )
    toolchain = find_toolchain()
    request = {
        "file": source.file,
        "qualname": source.qualname,
        "signature": chosen.signature,
        "constants": chosen.constants,
        "divisible_by_16": chosen.divisible_by_16,
        "chip": chip,
    }
    # File and line count because they are in the output.
    key = cache.cache_key(
        **request, text=source.text, line=source.line, options=asdict(options), versions=toolchain.versions
    )
    outcome = cache.load(key)
    if outcome is None:
        try:
            linalg = frontend.lower({**request, "module": source.module}, toolchain, timeout)
            outcome = Compiler(toolchain, source.qualname, timeout).compile(linalg, chip, options)
        except CompilationFailed as error:
            check_room()
            outcome = error
        cache.store(key, outcome)
    if isinstance(outcome, CompilationFailed):
        raise outcome
    versions = dict(toolchain.versions)
    return Program(source.qualname, chip, outcome, chosen.signature, chosen.constants, options, versions)
