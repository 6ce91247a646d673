from pathlib import Path

import decoding

PARTS = ("adapter", "batch", "choice", "contrastive_lora", "layers", "stopping")


def test_the_loop_is_thin():
    """Loop, adapters and choice: less than 600 lines, not counting blank ones."""
    texts = [Path(decoding.__file__).with_name(f"{part}.py").read_text() for part in PARTS]
    assert sum(bool(line.strip()) for text in texts for line in text.splitlines()) < 600
