"""`python -m bench COMMAND`: each command is a module of this package with an `add_parser`."""

import argparse
import sys
from importlib import import_module

COMMANDS = ("accept", "device", "grid", "host", "memory", "regret", "report", "step")


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; its exit code comes back."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks; `pytest bench/` runs them.")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        import_module(f"bench.{command}").add_parser(subparsers)
    chosen = parser.parse_args(arguments)
    return chosen.run(chosen)


if __name__ == "__main__":
    sys.exit(main())
