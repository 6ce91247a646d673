"""Every causal family of transformers is decoded right or refused by name, and `docs/families.md` says which."""

import warnings

import pytest

pytest.importorskip("transformers")
pytest.importorskip("peft")
import transformers

from .families import FAMILIES
from .families_table import PAGE, row
from .sweep import outcome

SAMPLE = {
    "mamba": "right",
    "rwkv": "refused",
    "bart": "right",
    "opt": "right",
    "bloom": "right",
    "mixtral": "right",
    "deepseek_v3": "right",
    "glm_moe_dsa": "right",
    "llama4_text": "right",
    "gemma3n_text": "right",
    "jamba": "right",
    "zamba2": "right",
    "recurrent_gemma": "refused",
    "bert": "refused",
    "roberta, is_decoder": "right",
    "openai-gpt": "refused",
}
"""A family of each kind: the others are swept by ``pytest -m sweep``."""
ROWS = {line.split("|")[1].strip(): line for line in PAGE.read_text().splitlines() if line.startswith("| ")}


def check(family):
    level = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = outcome(family)
    finally:
        transformers.logging.set_verbosity(level)
    assert found.verdict != "wrong", found.reason
    assert row(family, found) == ROWS[family]
    return found


@pytest.mark.parametrize("family", SAMPLE)
def test_a_family_of_each_kind(family):
    assert check(family).verdict == SAMPLE[family]


@pytest.mark.sweep
@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in SAMPLE])
def test_every_family(family):
    check(family)


def test_the_page_has_every_family():
    assert [*ROWS][2:] == [*FAMILIES]
