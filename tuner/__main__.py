"""`python -m tuner COMMAND`: each command is a module of this package with an `add_parser`."""

import argparse
import os
import sys
from importlib import import_module

COMMANDS = ("doctor", "autotune", "report", "simulate", "explain", "validate", "device", "calibrate", "mutants")


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; its exit code comes back, 1 where whoever read the output has gone away."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Python flushes once more at its end, and would complain there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(arguments: list[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tuner", description="Tunes Triton kernels.")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        import_module(f"tuner.commands.{command}").add_parser(subparsers)
    chosen = parser.parse_args(arguments)
    if not hasattr(chosen, "run"):
        parser.print_help()
        return 0
    return chosen.run(chosen) or 0


if __name__ == "__main__":
    os.environ.setdefault("COLD_KERNELS_LAZY", "1")  # the doctor must work where `import torch` does not
    sys.exit(main())
