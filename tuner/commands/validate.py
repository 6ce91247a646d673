"""``python -m tuner validate``: the model against device times that others published."""

import argparse
import json

from cold_kernels.command import DONE, FAILED

CHIPS = 32


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "validate",
        help="simulated times against published ones",
        description="Compiles kernels whose device times are published, simulates them and prints how far off it is. "
        "Exit code 0 if the goals of docs/fidelity.md are met, else 1.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object; keys: tuner/robustness/validation.py")
    parser.add_argument(
        "--falsify",
        action="store_true",
        help="also rank 128 configurations of bgmv_shrink on 32 plausible chips, and model the LoRA scheme of "
        "vllm-ascend; minutes",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; 0 if the goal is met, else 1."""
    from ..robustness.validation import falsified, judged, rows, text

    found = judged(rows(CHIPS if arguments.falsify else 0))
    if arguments.falsify:
        found |= falsified()
    print(json.dumps(found, indent=2) if arguments.json else text(found))
    return DONE if found["met"] else FAILED
