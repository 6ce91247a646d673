"""`python -m tuner COMMAND`."""

import os
import sys

NAMES = (
    "doctor", "init", "autotune", "worker", "watch", "report", "compare", "merge", "simulate", "explain", "gate",
    "validate", "device", "calibrate", "refit", "mutants", "exhaust", "replay", "quality",
)  # fmt: skip
COMMANDS = {name: f"tuner.commands.{name}" for name in NAMES}


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; its exit code comes back."""
    from cold_kernels import command  # after what is set below

    return command.main("python -m tuner", "Tunes Triton kernels.", COMMANDS, arguments)


if __name__ == "__main__":
    os.environ.setdefault("COLD_KERNELS_LAZY", "1")  # the doctor must work where `import torch` does not
    sys.exit(main())
