"""A chip in a file: one that is known, with constants of its own. `python -m tuner calibrate` writes it."""

import json
from dataclasses import replace
from pathlib import Path

from .chips import Chip, chip_named

FORMAT = 1


def write_chip(path: Path, chip: Chip, about: dict) -> None:
    """Write a chip file: the chip that it is based on, its constants, and where they come from."""
    data = {"format": FORMAT, "base": chip.name, "constants": chip.constants, **about}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1) + "\n")


def load_chip(path: Path) -> Chip:
    """The chip in a file that `write_chip` has written.

    Raises:
        ValueError: it cannot be read, or is not such a file; says what is wrong.
    """
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read {path}: {error}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("constants"), dict):
        raise ValueError(f"{path} is no chip file of python -m tuner calibrate")
    base = chip_named(str(data.get("base")))
    if odd := set(data["constants"]) ^ set(base.constants):
        raise ValueError(f"{path}: {', '.join(sorted(odd))} missing or unknown; calibrate again with this version")
    for name, value in data["constants"].items():
        if type(value) not in (int, float) or not 0 < value < float("inf"):
            raise ValueError(f"{path}: {name} = {value!r} is no number above 0")
    return replace(base, constants={name: float(data["constants"][name]) for name in base.constants})
