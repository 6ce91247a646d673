"""`python -m bench COMMAND`: each command is a module with an `add_parser`."""

import argparse
import sys
from importlib import import_module

COMMANDS = {
    "accept": "bench.exact.accept",
    "device": "tuner.commands.device",
    "grid": "bench.layers.grid",
    "host": "bench.timing.host",
    "memory": "bench.layers.memory",
    "regret": "bench.layers.regret",
    "report": "bench.report.report",
    "step": "bench.layers.step",
}
"""Where each command is."""


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; its exit code comes back."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks; `pytest bench/` runs them.")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in COMMANDS.values():
        import_module(module).add_parser(subparsers)
    chosen = parser.parse_args(arguments)
    return chosen.run(chosen)


if __name__ == "__main__":
    sys.exit(main())
