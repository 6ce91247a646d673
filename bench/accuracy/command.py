"""``python -m bench accuracy STUDY``: whether contrast helps."""

import argparse
from importlib import import_module

STUDIES = ("bench.accuracy.mechanism", "bench.accuracy.real_model", "bench.accuracy.page")


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command and its studies."""
    parser = subparsers.add_parser(
        "accuracy",
        help="whether contrast helps: accuracy of greedy LoRA, CoLD and rules, with intervals",
        description="Studies of accuracy, each resumable; `page` prints what docs/accuracy.md shows of them.",
    )
    studies = parser.add_subparsers(title="studies", metavar="STUDY", dest="study", required=True)
    for module in STUDIES:
        import_module(module).add_parser(studies)
