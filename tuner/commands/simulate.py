"""``python -m tuner simulate``: why a kernel takes the time that it takes, on a simulated chip."""

import argparse
import json
from pathlib import Path

from cold_kernels.ascend.chips import DEFAULT_CHIP
from cold_kernels.ascend.findings.codes import CODES
from cold_kernels.command import FOUND
from cold_kernels.specs import KERNELS

CORES = 8


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "simulate",
        help="why a kernel is slow: pipes, stalls and their causes, source lines",
        description="Compiles a kernel, executes it on a simulated chip, and says where the cycles go: by pipe, by "
        "cause and by line of the Triton source, and names what people suffer from. All figures are simulated. Exit "
        f"code {FOUND} if there is a finding that --fail-on names.",
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
    parser.add_argument(
        "--fail-on", action="append", default=[], metavar="CODE[:SHARE]",
        help=f"exit with code {FOUND} if there is such a finding, or with scalar-fallback:5%% only if it costs at "
        f"least so much of the kernel's cycles; may be repeated: any, {', '.join(CODES)}",
    )  # fmt: skip
    parser.set_defaults(run=run, needs=("rich", "torch"))


def run(arguments: argparse.Namespace) -> int | None:
    """Runs the command."""
    if arguments.picture:
        import matplotlib  # noqa: F401
    from ..profile.analysis import analyse
    from ..profile.choice import chosen
    from ..profile.findings.constexpr_follows_batch import unchecked
    from ..profile.findings.fail_on import broken, check, rules
    from ..profile.findings.named import named

    if arguments.cores < 1:
        raise ValueError(f"--cores {arguments.cores}: must be 1 or more")
    for path in (arguments.trace, arguments.picture):
        if path and not path.resolve().parent.is_dir():
            raise ValueError(f"{path}: there is no folder {path.parent}")
    wanted = rules(arguments.fail_on)
    try:
        kernel, default = chosen(arguments)
        check(wanted, kernel)
        found = analyse(kernel) | {"findings": named(kernel), "unchecked": unchecked(kernel)}
    except TypeError as error:  # of a signature, or of the spec's own functions
        raise ValueError(error) from error
    written = []
    if arguments.trace:
        from ..profile.perfetto import write_trace

        written.append(write_trace(kernel, arguments.trace, arguments.cores))
    if arguments.picture:
        from ..profile.picture import draw

        written.append(draw([one for one in (default, kernel) if one], arguments.picture))
    if arguments.json:
        print(json.dumps(found, indent=1))
    else:
        from ..profile.text import show

        show(found, written)
    return FOUND if broken(wanted, found["findings"]) else None
