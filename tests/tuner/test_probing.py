"""Roles of tensors and free tiles, found with Python in the place of a kernel."""

import pytest
import torch

pytest.importorskip("triton")
from tuner.drafting.launches import IN, INOUT, OUT, UNTOUCHED, Seen, SeenLaunch
from tuner.drafting.probing import free_constexprs, roles


def test_each_tensor_has_its_role():
    def run(given, grid):
        given["total"] += given["x"]
        given["y"].copy_(given["x"] * given["scale"][given["at"]])

    given = dict(x=torch.randn(4), scale=torch.randn(3), at=torch.tensor([0, 1, 2, 0]), total=torch.zeros(4),
                 y=torch.zeros(4), spare=torch.zeros(4))  # fmt: skip
    kept = {name: value.clone() for name, value in given.items()}
    found = roles(given, (1,), run)
    assert found == dict(x=IN, scale=IN, at=IN, total=INOUT, y=OUT, spare=UNTOUCHED)
    assert all(torch.equal(given[name], kept[name]) for name in given)  # it works on copies


def test_what_is_written_in_parts_alone_is_not_an_output():
    def run(given, grid):
        given["y"][:2] = given["x"][:2]

    assert roles(dict(x=torch.ones(4), y=torch.zeros(4)), (1,), run)["y"] == INOUT


def free(run, tile=32):
    given = dict(x=torch.arange(40.0), y=torch.zeros(40), n=40, TILE=tile)
    seen = Seen(None, frozenset({"TILE"}), [SeenLaunch({"n": 40, "TILE": tile}, (-(-40 // tile),))])
    seen.roles = {"x": IN, "y": OUT}
    return free_constexprs(given, seen, lambda values: None, run).get("TILE")


def by_tiles(given, grid):
    for program in range(grid[0]):
        part = slice(program * given["TILE"], (program + 1) * given["TILE"])
        given["y"][part] = 2 * given["x"][part]


def test_a_tile_whose_grid_follows_it_is_free():
    assert free(by_tiles) is True


def test_a_tile_that_covers_all_is_not_free():
    def at_once(given, grid):
        given["y"][: given["TILE"]] = given["x"][: given["TILE"]]

    assert free(at_once, 64) is False


def test_a_small_number_is_no_tile():
    assert free(by_tiles, 8) is None
