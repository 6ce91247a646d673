"""``python -m bench.engines.model FOLDER``: the timed model and two adapters, as engines load them."""

import shutil
import sys
from pathlib import Path

from bench.timing.decode_models import adapted, llama_70m


def main(folder: str) -> None:
    """Write the folders ``model``, ``one`` and ``two``."""
    root = Path(folder)
    llama_70m().save_pretrained(root / "model")
    for name in ("one", "two"):
        _, written = adapted(llama_70m())
        shutil.move(written, root / name)


if __name__ == "__main__":
    main(*sys.argv[1:])
