"""A spec with ``tl.dot`` goes the whole way: search, table, simulation with a picture of cube and vector cores."""

import json

import pytest

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)

from tuner.__main__ import main

SPEC = "tests/tuner/matmul_spec.py:dense"


@pytest.mark.long
def test_a_product_with_an_epilogue(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLD_KERNELS_TABLES", str(tmp_path))
    assert main(["autotune", SPEC, "--trials", "3", "--jobs", "1"]) == 0
    (table,) = tmp_path.rglob("dense_relu.json")
    assert "TILE_M" in table.read_text()
    capsys.readouterr()
    picture = tmp_path / "cores.png"
    assert main(["simulate", SPEC, "--json", "--picture", str(picture)]) == 0
    assert picture.stat().st_size > 10_000
    (launch,) = json.loads(capsys.readouterr().out)["launches"]
    assert {"cube M", "cube FIX", "vector 0 V", "vector 1 MTE3"} <= set(launch["pipes"]) and not launch["hazards"]
    for spent in launch["pipes"].values():
        assert spent["busy"] + spent["stalled"] + spent["idle_at_end"] == pytest.approx(launch["cycles"])
    assert sum(step["cycles"] for step in launch["critical_path"]) == pytest.approx(launch["cycles"])
    assert [one["name"] for one in launch["cube_memories"]] == ["L1", "L0C"]
