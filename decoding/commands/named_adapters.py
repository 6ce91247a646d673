"""Adapters as command lines name them: ``--adapter NAME=FOLDER``, repeatable."""

import argparse


def add_adapters(parser: argparse.ArgumentParser, required: bool = False) -> None:
    """Add the option ``--adapter``."""
    parser.add_argument(
        "--adapter",
        action="append",
        default=[],
        required=required,
        metavar="NAME=FOLDER",
        help="or a name on the hub; repeatable",
    )


def named_adapters(given: list[str]) -> dict[str, str]:
    """Folders by name.

    Raises:
        ValueError: one that is not ``NAME=FOLDER``, or a name that is given twice.
    """
    adapters: dict[str, str] = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise ValueError(f"--adapter {text}: give NAME=FOLDER")
        if name in adapters:
            raise ValueError(f"--adapter {text}: {name} is {adapters[name]} already; give each adapter another name")
        adapters[name] = folder
    return adapters
