"""`python -m bench COMMAND`."""

import sys

from cold_kernels import command

COMMANDS = {
    "accept": "bench.accept",
    "accuracy": "bench.accuracy.command",
    "compatibility": "bench.compatibility.command",
    "device": "tuner.commands.device",
    "engines": "bench.engines.compare",
    "generation": "bench.timing.generation",
    "grid": "bench.layers.grid",
    "host": "bench.timing.host",
    "memory": "bench.layers.memory",
    "pages": "bench.pages",
    "regret": "bench.layers.regret",
    "report": "bench.report.report",
    "sign": "bench.sign",
    "step": "bench.layers.step",
}


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; its exit code comes back."""
    return command.main("python -m bench", "Benchmarks; `pytest bench/` runs them.", COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main())
