"""``python -m tuner gate``: fails where a kernel's compiled program does something else than was accepted."""

import argparse
import json
from pathlib import Path

from cold_kernels.ascend.chips import DEFAULT_CHIP
from cold_kernels.command import FOUND


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "gate",
        help="fail where launches, bytes, findings or simulated cycles of your kernel have changed",
        description="Compiles a kernel for its typical case and its targets, in the configurations that launches take "
        "from its own tables, compares its values with its reference, and counts launches, bytes, instructions, named "
        "findings and simulated cycles. These are the same on every machine. They are held against a file, which "
        f"belongs in your repository; exit code {FOUND} if anything differs.",
    )
    parser.add_argument("kernel", metavar="FILE.py:SPEC", help="a spec of your own")
    parser.add_argument("--accept", action="store_true", help="make what is counted now the accepted facts")
    parser.add_argument("--reason", metavar="TEXT", help="with --accept: what changed, and why that is right")
    parser.add_argument(
        "--file", type=Path, metavar="PATH", help="default: gate/CHIP/KERNEL.json beside the spec's file"
    )
    parser.add_argument("--chip", default=DEFAULT_CHIP, help=f"default: {DEFAULT_CHIP}")
    parser.add_argument("--json", action="store_true", help="print one JSON object: file, differences, facts")
    parser.set_defaults(run=run, needs=("torch",))


def run(arguments: argparse.Namespace) -> int | None:
    """Runs the command."""
    from cold_kernels.ascend.machine import ascend_machine
    from cold_kernels.command import CommandFailed
    from cold_kernels.specs import load

    from ..gate import file
    from ..gate.cells import WrongResult
    from ..gate.gated import differences, facts_of

    reason = " ".join((arguments.reason or "").split())
    if arguments.accept and not reason:
        raise ValueError("--accept wants --reason: say what changed and why that is right")
    if arguments.reason is not None and not arguments.accept:
        raise ValueError("--reason is for --accept")
    spec = load(arguments.kernel)
    if arguments.file is None and ":" not in arguments.kernel:
        raise ValueError(f"{arguments.kernel} is shipped here, and its facts are accepted by python -m bench accept")
    machine = ascend_machine(arguments.chip)
    chip = machine.chip.name
    beside = Path(arguments.kernel.rpartition(":")[0]).resolve().parent
    path = arguments.file or beside / "gate" / chip / f"{spec.name}.json"
    before = file.read(path, spec, chip)
    if not before and not arguments.accept:
        raise CommandFailed(
            f'nothing was accepted in {path} yet: python -m tuner gate {arguments.kernel} --accept --reason "..."'
        )
    try:
        now = facts_of(spec, machine)
    except WrongResult as error:
        raise CommandFailed(f"nothing is counted of a wrong result: {error}") from error
    changed = differences(before, now)
    if arguments.accept and changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        file.accept(path, spec, chip, now, dict(machine.versions), reason)
    if arguments.json:
        print(
            json.dumps(
                {"file": str(path), "accepted": arguments.accept, "differences": changed, "facts": now}, indent=1
            )
        )
    else:
        for case, lines in changed.items():
            print(f"{spec.name} {case} on {chip}:\n  {lines.strip()}")
        if arguments.accept:
            print(f"accepted {len(changed)} cases in {path}" if changed else f"nothing differs from {path}")
        elif not changed:
            print(f"{len(now)} cases of {spec.name} on {chip} are as accepted (values compared with {spec.against})")
        else:
            print(f'if that is meant: python -m tuner gate {arguments.kernel} --accept --reason "..."')
    return FOUND if changed and not arguments.accept else None
