"""Which files of a checkout are its tests."""

import pytest

from bench.compatibility.repositories import REPOSITORIES, Repository, named


def test_files_and_patterns_are_found(tmp_path):
    (tmp_path / "tests").mkdir()
    for name in ("test_b.py", "test_a.py", "conftest.py"):
        (tmp_path / "tests" / name).touch()
    assert Repository("r", "", tests=("tests/test_*.py",)).files(tmp_path) == ["tests/test_a.py", "tests/test_b.py"]


def test_files_named_after_what_a_package_exports(tmp_path):
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops" / "__init__.py").write_text("from .layernorm import layer_norm\nfrom os import path\n")
    (tmp_path / "tests").mkdir()
    for name in ("layer_norm", "layernorm", "path", "other"):
        (tmp_path / "tests" / f"test_{name}.py").touch()
    found = Repository("r", "", named_after=("tests/test_{}.py", ("ops",))).files(tmp_path)
    assert found == ["tests/test_layer_norm.py", "tests/test_layernorm.py"]


def test_a_folder_that_is_no_checkout_is_named(tmp_path):
    with pytest.raises(ValueError, match="holds no tests of FlagGems: a checkout of https://.* is wanted"):
        named(["FlagGems"])[0].files(tmp_path)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="--repository flaggems: triton-ascend, .* are known"):
        named(["flaggems"])
    assert named([]) == list(REPOSITORIES)
