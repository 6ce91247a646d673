"""`python -m decoding COMMAND`."""

import sys

from cold_kernels import command

COMMANDS = {
    "generate": "decoding.commands.generate",
    "serve": "decoding.commands.serve",
    "train": "decoding.commands.train",
    "evaluate": "decoding.commands.evaluate",
    "tune": "decoding.commands.tune",
    "example-adapter": "decoding.commands.example_adapter",
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code comes back."""
    return command.main("python -m decoding", "Contrastive LoRA decoding.", COMMANDS, arguments, extra="decode")


if __name__ == "__main__":
    sys.exit(main())
