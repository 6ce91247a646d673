"""``python -m tuner init``: drafts the spec of a kernel that has none."""

import argparse
from pathlib import Path

from cold_kernels.ascend.chips import DEFAULT_CHIP


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "init",
        help="draft a spec for a plain Triton kernel, from a sample call or from one of your tests",
        description="Runs a call or a test on the simulated NPU, looks at the launches of the kernel, and writes a "
        "spec that autotune takes as it is. What was guessed is said in the file. Configurations and keys of "
        "@triton.autotune become tunables and groups. The kernel's file is run as Python.",
    )
    parser.add_argument("kernel", metavar="FILE.py:KERNEL", help="a @triton.jit function")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--call", action="append", metavar="PYTHON",
        help="an expression in the file's own names that launches the kernel; torch and triton are there too, and new "
        "tensors lie on the simulated NPU; may be repeated, with other sizes",
    )  # fmt: skip
    source.add_argument("--from-test", metavar="FILE::TEST", help="a test for pytest that launches the kernel")
    parser.add_argument("--out", type=Path, metavar="SPEC.py", help="default: KERNEL_spec.py beside the kernel's file")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")
    parser.add_argument("--chip", default=DEFAULT_CHIP, help=f"to run the call on; default: {DEFAULT_CHIP}")
    parser.set_defaults(run=run, needs=("torch", "triton"))


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from cold_kernels.command import CommandFailed

    from ..drafting.sources import from_calls, from_test
    from ..drafting.text import drafted, import_lines

    where, colon, name = arguments.kernel.rpartition(":")
    file = Path(where).resolve()
    if not colon or file.suffix != ".py" or not name.isidentifier():
        raise ValueError(f"cannot read {arguments.kernel!r}; write FILE.py:KERNEL")
    if not file.is_file():
        raise ValueError(f"{arguments.kernel}: there is no file {where}")
    out = arguments.out or file.with_name(f"{name}_spec.py")
    if out.exists() and not arguments.force:
        raise ValueError(f"{out} is there already; give --out, or --force to write over it")
    if not out.resolve().parent.is_dir():
        raise ValueError(f"--out {out}: there is no folder {out.parent}")
    imported, folder = import_lines(file, name, out)
    if arguments.call:
        found_in = "the call " + " and ".join(arguments.call)
        seen = from_calls(file, name, folder, imported, arguments.call, arguments.chip)
    else:
        found_in = f"the test {arguments.from_test}"
        seen = from_test(file, name, folder, arguments.from_test, arguments.chip)
    if seen is None or not seen.launches:
        raise CommandFailed(f"{found_in} launches no kernel {name} of {where}")
    out.write_text(drafted(seen, name, imported, found_in))
    print(f"{out} is drafted from {len(seen.launches)} launches; look through it, then")
    print(f"  python -m tuner autotune {out}:{name}_spec")
