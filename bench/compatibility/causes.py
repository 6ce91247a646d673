"""Why a test did not pass: rules over the errors that it ended with."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Whose(Enum):
    """Whose affair a cause is, which says how its tests are counted."""

    NOBODY = "not counted"
    """The test cannot run or pass here, whatever the simulator does."""
    THEIRS = "theirs"
    """The test, its reference or the kernel under it."""
    OURS = "ours"
    """The simulator or the simulated device, as long as nobody has shown otherwise."""


@dataclass(frozen=True)
class Cause:
    """One row of the report's list of causes.

    Args:
        name: As a column's head.
        words: What it means, in a sentence.
    """

    name: str
    whose: Whose
    words: str


COMPILER = Cause("compiler", Whose.NOBODY, "triton-ascend or bishengir-compile refuses the kernel, or dies of it")
RELEASE = Cause("release", Whose.NOBODY, "a name or an option that the installed triton-ascend does not have")
CHIP = Cause("chip", Whose.NOBODY, "for another chip: Ascend 950's SIMT units, CUDA")
MISSING = Cause("missing", Whose.NOBODY, "a package, a compiled library or a download that was not to be had")
CANN = Cause("CANN", Whose.NOBODY, "an operator of CANN or of the repository's C++, which is no Triton kernel")
REFERENCE = Cause("reference", Whose.THEIRS, "the test's own torch code, which torch's CPU operators do not run")
TEST = Cause("test", Whose.NOBODY, "the test cannot pass reliably anywhere; settled by hand")
BOUNDS = Cause("bounds", Whose.THEIRS, "the compiled kernel reads or writes outside a tensor, by the simulator's word")
HAZARD = Cause(
    "hazard",
    Whose.THEIRS,
    "a device may do otherwise, by the simulator's word: a race, bytes read that nothing has written",
)
COMPILED = Cause(
    "miscompiled",
    Whose.NOBODY,
    "the installed compiler's program computes something else, on a device too; settled by hand",
)
UNSUPPORTED = Cause("unsupported", Whose.OURS, "the simulator refuses an operation, by name")
SLOW = Cause("slow", Whose.OURS, "the time limit of a launch or a test was reached")
VALUE = Cause("value", Whose.OURS, "an assertion about values fails, and nobody has settled why")
OTHER = Cause("other", Whose.OURS, "everything else")
CAUSES = (
    COMPILER, RELEASE, CHIP, MISSING, CANN, REFERENCE, TEST, BOUNDS, HAZARD, COMPILED, UNSUPPORTED, SLOW, VALUE,
    OTHER,
)  # fmt: skip

RULES = (
    (SLOW, r"^(LaunchTookTooLong|TestTookTooLong): "),
    (BOUNDS, r"^OutOfBounds: "),
    (HAZARD, r"^HazardFound: "),
    (UNSUPPORTED, r"^UnsupportedProgram: "),
    (RELEASE, r"Keyword argument \S+ was specified but unrecognised"),
    (RELEASE, r"is in no module of the installed triton-ascend"),
    (RELEASE, r"(No module named|cannot import name .* from) '(triton[.']|triton\b)"),
    (RELEASE, r"module 'triton\S*' has no attribute"),
    (RELEASE, r"Callable constexpr at index|'constexpr' object has no attribute 'dtype'"),
    (CHIP, r"is for Ascend 950|CUDA|cuda"),
    (COMPILER, r"^(MLIRCompilationError|CompilationError|CompilationFailed|CompilerDied|UnifiedBufferOverflow)\b"),
    (COMPILER, r"^(UnsupportedLanguageConstruct|CompileTimeAssertionFailure): "),
    (CANN, r"torch_npu\.\w+ is an operator of CANN"),
    (CANN, r"'_OpNamespace' '\w+' object has no attribute|module 'torch_npu' has no attribute 'npu_"),
    (MISSING, r"(ModuleNotFoundError|ImportError|OSError|LocalEntryNotFoundError|HfHubHTTPError)\b"),
    (MISSING, r"is not part of the simulated NPU|is not simulated: launches return"),
    (REFERENCE, r"not implemented for '\w+'|cannot be converted to type \w+ without overflow"),
    (REFERENCE, r"^RuntimeError: (view size is not compatible|\w+ did not match \w+|expected .* dtype)"),
    (VALUE, r"^AssertionError\b|^Failed: "),
)
"""The first that any of a test's errors matches, tried in this order."""


def cause_of(errors: Iterable[str]) -> Cause:
    """The cause of a test's errors, each ``type: message``, the outermost first."""
    errors = list(errors)
    return next((cause for cause, pattern in RULES if any(re.search(pattern, error) for error in errors)), OTHER)


_SAID = re.compile(r"(?:error: |LLVM ERROR: |Error\(|Assertion `)(.*)")
_NOISE = re.compile(r"(?:/[\w.+-]+)+/(?=[\w.+-]+)|0x[0-9a-f]{6,}")


def words_of(errors: Iterable[str], most: int = 160) -> str:
    """What the errors say, in one line without the folders of a machine."""
    error = next(iter(errors), "no error was recorded")
    kind, _, message = error.partition(": ")
    said = _SAID.search(message) if cause_of([error]) is COMPILER else None
    text = said[1] if said else message
    line = re.sub(r"\s+", " ", _NOISE.sub("", text)).strip()
    return f"{_NOISE.sub('', kind).strip()}: {line}"[:most].rstrip(": ")
