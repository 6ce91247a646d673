"""``python -m tuner simulate``: why a kernel takes the time that it takes, on a simulated chip."""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cold_kernels.specs import DEFAULT_CHIP, FAILED, INSTALL, KERNELS, WRONG_INPUT

if TYPE_CHECKING:
    from ..profile.profiled import Subject

CORES = 8


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "simulate",
        help="why a kernel is slow: pipes, stalls and their causes, source lines",
        description="Compiles a kernel, executes it on a simulated chip, and says where the cycles go: by pipe, by "
        "cause and by line of the Triton source. All figures are simulated.",
    )
    parser.add_argument("kernel", metavar="KERNEL", help=f"{', '.join(KERNELS)}, FILE.py:SPEC, or FILE.py:FUNCTION")
    parser.add_argument("--chip", default=DEFAULT_CHIP, help=f"default: {DEFAULT_CHIP}")
    parser.add_argument("--shape", metavar='"K=V ..."', help="of a spec; default: its typical one")
    parser.add_argument(
        "--config", metavar='"K=V ..."', help="tunables of a spec; those not named are as a launch would choose them"
    )
    parser.add_argument(
        "--signature",
        metavar='"K=V ..."',
        help="arguments of a function without a spec: x_ptr=*fp16[64,4096] is a tensor, i_ptr=*i64[64]:0..4096 one "
        "filled otherwise than by default (normal, zeros, ones, nan, arange, NUMBER, LOW..HIGH), n=4096 or n=4096:i64 "
        "a number, TILE=1024 a tl.constexpr",
    )
    parser.add_argument("--grid", metavar="X[,Y[,Z]]", help="programs of a function without a spec")
    parser.add_argument(
        "--options", metavar='"K=V ..."', help="compiler options of a function without a spec: multi_buffer=False"
    )
    parser.add_argument("--trace", type=Path, metavar="OUT.json", help="write the timeline for ui.perfetto.dev")
    parser.add_argument(
        "--cores", type=int, default=CORES, metavar="N",
        help=f"at most so many cores in the trace, one for all that have the same timeline; default: {CORES}",
    )  # fmt: skip
    parser.add_argument(
        "--picture", type=Path, metavar="OUT.png", help="draw the timeline; without --config also the default's, above"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object; docs/simulator.md has its keys")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        0; 1 if something is not installed, the kernel does not compile, or does what the simulator refuses; 2 for bad
        input.
    """
    try:
        import rich  # noqa: F401
        import torch  # noqa: F401

        if arguments.picture:
            import matplotlib  # noqa: F401
    except ImportError as error:
        print(f"simulate: {error}; {INSTALL}", file=sys.stderr)
        return FAILED
    from cold_kernels.ascend.errors import AscendError

    try:
        return _run(arguments)
    except ImportError as error:
        print(f"simulate: {error}; {INSTALL}", file=sys.stderr)
        return FAILED
    except (ValueError, TypeError, OSError) as error:
        print(f"simulate: {error}", file=sys.stderr)
        return WRONG_INPUT
    except AscendError as error:
        print(f"simulate: {error}", file=sys.stderr)
        return FAILED


@dataclass(frozen=True)
class Subjects:
    """What to simulate, and what to draw above it."""

    chosen: "Subject"
    default: "Subject | None" = None


def _run(arguments: argparse.Namespace) -> int:
    from ..profile.analysis import reasons

    if arguments.cores < 1:
        raise ValueError(f"--cores {arguments.cores}: must be 1 or more")
    for path in (arguments.trace, arguments.picture):
        if path and not path.resolve().parent.is_dir():
            raise ValueError(f"{path}: there is no folder {path.parent}")
    subjects = _subjects(arguments)
    found = reasons(subjects.chosen)
    written = []
    if arguments.trace:
        from ..profile.perfetto import write_trace

        written.append(write_trace(subjects.chosen, arguments.trace, arguments.cores))
    if arguments.picture:
        from ..profile.picture import draw

        written.append(draw([one for one in (subjects.default, subjects.chosen) if one], arguments.picture))
    if arguments.json:
        print(json.dumps(found, indent=1))
        return 0
    from ..profile.text import show

    show(found, written)
    return 0


def _subjects(arguments: argparse.Namespace) -> Subjects:
    from cold_kernels.ascend.chips import chip_named
    from cold_kernels.spec import KernelSpec

    from ..profile.profiled import spec_or_function

    chip_named(arguments.chip)
    kernel = spec_or_function(arguments.kernel)
    if isinstance(kernel, KernelSpec):
        return _of_spec(kernel, arguments)
    return Subjects(_of_function(kernel, arguments))


def _of_spec(spec, arguments: argparse.Namespace) -> Subjects:
    from cold_kernels.ascend.chips import chip_named
    from cold_kernels.ascend.machine import ascend_machine
    from cold_kernels.cases import Case

    from ..dry_run import dry_run
    from ..profile.profiled import chosen_config, of_spec

    for option in ("signature", "grid", "options"):
        if getattr(arguments, option) is not None:
            raise ValueError(
                f"{arguments.kernel} is a spec: --{option} is for a function without one; use --shape and --config"
            )
    case = Case.parse(arguments.shape or "", spec)
    dry_run(spec, case, chip_named(arguments.chip).vector_cores)
    config, reason = chosen_config(spec, case, chip_named(arguments.chip).name, arguments.config)
    illegal = [
        f"{name} = {violation} > 0"
        for name, violation in spec.violations(config, case.shape()).items()
        if violation > 0
    ]
    if illegal:
        raise ValueError(f"{config} is not legal for {case}: {', '.join(illegal)}; python -m tuner explain says more")
    machine = ascend_machine(arguments.chip)
    chosen = of_spec(spec, case, machine, config, reason)
    by_hand = spec.default_for(case.shape())
    if arguments.config or by_hand == config:
        return Subjects(chosen)
    return Subjects(chosen, of_spec(spec, case, machine, by_hand, "default"))


def _of_function(kernel, arguments: argparse.Namespace) -> "Subject":
    from cold_kernels.ascend.machine import ascend_machine

    from ..parsing import grid_of, options_of
    from ..profile.profiled import Subject
    from ..profile.signature import EXAMPLE, bind

    for option in ("shape", "config"):
        if getattr(arguments, option) is not None:
            raise ValueError(
                f"{arguments.kernel} is a function without a spec: --{option} is for specs; use --signature and --grid"
            )
    for option, example in (("signature", f'"{EXAMPLE}"'), ("grid", "40")):
        if getattr(arguments, option) is None:
            raise ValueError(f"{arguments.kernel} is a function without a spec: give --{option} {example}")
    options = options_of(arguments.options or "").chosen()
    call = bind(kernel, arguments.signature, grid_of(arguments.grid), options)
    return Subject(kernel.__name__, ascend_machine(arguments.chip), lambda: [call])
