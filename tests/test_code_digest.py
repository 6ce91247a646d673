"""What a digest of code depends on, and what not."""

import importlib
import sys
from pathlib import Path

import pytest

from cold_kernels import code_digest
from cold_kernels.ascend.machine import MODEL

ROOT = Path(__file__).parents[1]
SIMULATOR = ROOT / "cold_kernels" / "ascend" / "simulator"
CACHED = ("_statements", "_meaning", "_imports", "_tree", "_file")


@pytest.fixture
def digest(tmp_path, monkeypatch):
    """Writes a package of these files and gives the digest of its module ``main``."""
    monkeypatch.setattr(code_digest, "PACKAGES", ("cold_kernels", "digested"))
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "digested"
    folder.mkdir()

    def of(**files):
        for old in folder.glob("*.py"):
            old.unlink()
        for name, text in {"__init__": "", **files}.items():
            (folder / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        for name in CACHED:
            getattr(code_digest, name).cache_clear()
        return code_digest.code_digest("digested.main")

    yield of
    for name in [name for name in sys.modules if name.split(".")[0] == "digested"]:
        del sys.modules[name]
    for name in CACHED:
        getattr(code_digest, name).cache_clear()


MAIN = "from .parts import add\n\ndef double(x):\n    return add(x, x)\n"
PARTS = "def add(x, y):\n    return x + y\n"


def test_code_counts_wherever_it_is(digest):
    before = digest(main=MAIN, parts=PARTS)
    assert digest(main=MAIN, parts=PARTS) == before
    assert digest(main=MAIN, parts=PARTS.replace("+", "-")) != before
    assert digest(main=MAIN.replace("add(x, x)", "add(x, 0)"), parts=PARTS) != before


def test_text_does_not_count(digest):
    before = digest(main=MAIN, parts=PARTS)
    documented = '"""Parts."""\n# why\n' + PARTS.replace(":\n", ':\n    """Add."""\n')
    assert digest(main=MAIN, parts=documented) == before


def test_a_definition_may_move(digest):
    before = digest(main=MAIN, parts=PARTS)
    assert digest(main=MAIN.replace("parts", "sums"), sums=PARTS) == before


def test_an_import_counts_by_what_it_brings(digest):
    both = dict(one="def f(x):\n    return x\n", other="def f(x):\n    return -x\n")
    main = "from .one import f\nfrom . import other\n\ndef g(x):\n    return f(x)\n"
    switched = "from .other import f\nfrom . import one\n\ndef g(x):\n    return f(x)\n"
    assert digest(main=main, **both) != digest(main=switched, **both)


@pytest.mark.parametrize(
    "main",
    ["def g():\n    from .parts import add\n    return add\n", "import digested.parts\n", "from . import parts\n"],
)
def test_imports_are_found_wherever_they_stand(digest, main):
    assert digest(main=main, parts=PARTS) != digest(main=main, parts=PARTS.replace("+", "-"))


def test_names_that_a_package_hands_on(digest):
    package = (
        "from cold_kernels.lazy import lazy_exports\n__getattr__, __all__ = lazy_exports(__name__, {'add': 'parts'})"
    )
    main = "from digested import add\n"
    assert digest(__init__=package, main=main, parts=PARTS) != digest(
        __init__=package, main=main, parts=PARTS.replace("+", "-")
    )


def test_no_such_module():
    with pytest.raises(ValueError, match="no module 'cold_kernels.absent'"):
        code_digest.code_digest("cold_kernels.absent")


def test_no_file_of_the_model_is_left_out():
    files = set(code_digest.reached(MODEL).values())
    rooms = ("core", "trace", "dialects", "execute", "hazards", "timing")
    model = {file for room in rooms for file in (SIMULATOR / room).glob("*.py") if file.name != "__init__.py"}
    assert len(model) > 30
    assert model <= files
    assert {SIMULATOR.parent / "chips.py", SIMULATOR.parent / "program.py"} <= files


def test_no_file_that_counts_layers_is_left_out():
    found = code_digest.reached("bench.layers.cases")
    for module in ("spec", "stage", "cases", "tables", "ascend.toolchain", "bgmv.shrink_expand", "ascend.machine"):
        assert f"cold_kernels.{module}" in found
    assert {
        "tuner.search.evaluate",
        "bench.layers.peers.split_k",
        "tuner.gate.counting",
        *code_digest.reached(MODEL),
    } <= (found.keys())
