"""A spec that is wrong is an error in one line before anything runs."""

import dataclasses

import pytest
import torch

from cold_kernels.cases import Case
from tuner.__main__ import main
from tuner.dry_run import dry_run

from .test_autotune import faked  # noqa: F401
from .tiny_spec import add, tiny_add

CASE = Case.parse("N=100", tiny_add)


def fails(*_, **__):
    raise KeyError("no\nsuch thing")


def grid(value):
    return (dataclasses.replace(tiny_add.stages[0], grid=lambda c, s, cores: value),)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (dict(constraints=dict(odd=fails)), r"constraint odd failed on N=100 .*: KeyError: 'no\\nsuch thing'"),
        (
            dict(constraints=dict(odd=lambda c, s: None)),
            "constraint odd failed on .*: it is None, but must be a number",
        ),
        (dict(stages=grid(7)), "grid of add failed on .*: it is 7, but must be a tuple"),
        (dict(stages=grid((0,))), r"grid of add failed on .*: it is \(0,\)"),
        (dict(stages=grid((2.0,))), r"grid of add failed on .*: it is \(2.0,\)"),
        (dict(reference=fails), "reference failed on .*: KeyError"),
        (dict(reference=lambda x, **_: x), "reference failed on .*: it gives Tensor, but must give tensors by name"),
        (dict(reference=lambda x, **_: {"y": x}), "reference failed on .*: it gives no tensor for the output z"),
        (
            dict(tolerance=lambda x, **_: {"z": x[1:]}),
            r"tolerance failed on .*: its z is \[99\], but the output \[100\]",
        ),
        (dict(tolerance=lambda x: {"z": x}), "tolerance failed on .*: TypeError: .*unexpected keyword argument"),
        (dict(minimal_bytes=lambda **_: "many"), "minimal_bytes failed on .*: it is 'many'"),
        (dict(minimal_bytes=lambda **_: float("nan")), "minimal_bytes failed on .*: it is nan"),
    ],
)
def test_a_function_that_fails_is_named(change, complaint):
    with pytest.raises(ValueError, match=f"tiny_add: {complaint}") as caught:
        dry_run(dataclasses.replace(tiny_add, **change), CASE, 40)
    assert "\n" not in str(caught.value)


def test_a_right_spec_passes():
    dry_run(tiny_add, CASE, 40)
    assert add is tiny_add.stages[0].kernel and torch.is_tensor(CASE.tensors(tiny_add)["x"])


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "tile_past_size=lambda c, s: c.TILE",
            "tile_past_size=lambda c, s: c.TILES",
            "constraint tile_past_size failed on",
        ),
        ("4 * (x.numel()", "4 * (x.bytes()", "minimal_bytes failed on N=8192"),
        ('"N=777"', '"N=seven"', "hard: tiny_add: cannot read 'N=seven'"),
        ('name="tiny_add"', 'name="../tiny_add"', "name '../tiny_add' is no file name"),
    ],
)
def test_autotune_says_so_before_anything_runs(faked, tmp_path, capsys, old, new, complaint):  # noqa: F811
    from .test_autotune import SPEC

    text = open(SPEC.rpartition(":")[0]).read()
    assert text.count(old) == 1
    (tmp_path / "wrong.py").write_text(text.replace(old, new))
    assert main(["autotune", f"{tmp_path / 'wrong.py'}:tiny_add", "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert complaint in said.err and said.err.count("\n") == 1 and not said.out
    assert not (tmp_path / "out").exists()
