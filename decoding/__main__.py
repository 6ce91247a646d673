"""`python -m decoding COMMAND`: each command is a module of this package with an `add_parser`."""

import argparse
import sys
from importlib import import_module

COMMANDS = ("generate", "example_adapter")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code comes back."""
    parser = argparse.ArgumentParser(prog="python -m decoding", description="Contrastive LoRA decoding.")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        import_module(f"decoding.{command}").add_parser(subparsers)
    chosen = parser.parse_args(arguments)
    try:
        return chosen.run(chosen)
    except (ValueError, OSError) as error:
        print(f"python -m decoding: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
