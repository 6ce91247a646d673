"""A chip out of a device's times: the device is the simulator on constants that the fit is not told."""

import contextlib
import io
import json
import random
from dataclasses import replace

import pytest

pytest.importorskip("triton")
pytest.importorskip("xdsl")
from cold_kernels.ascend.chips import CONSTANTS, chip_named, load_chip, write_chip
from cold_kernels.ascend.errors import ToolchainMissing
from cold_kernels.ascend.toolchain import find_toolchain
from cold_kernels.cases import Case
from cold_kernels.specs import load
from tuner.__main__ import main
from tuner.calibration import results
from tuner.calibration.fit import kendall_tau, recall
from tuner.calibration.jobs import MICRO, RANDOM, Job
from tuner.calibration.measure import measure
from tuner.calibration.micro import micros

pytestmark = pytest.mark.long  # all in one process: they share what was measured
SEED = 3
HARD_TO_SEE = {"flag"}
"""Where a flag takes a few cycles, what it orders hides it."""


@pytest.fixture(scope="module")
def device():
    from tuner.calibration.stand_in import StandIn

    try:
        find_toolchain()
    except ToolchainMissing as error:
        pytest.skip(str(error))
    return StandIn(SEED)


@pytest.fixture(scope="module")
def measured(device, tmp_path_factory):
    path = tmp_path_factory.mktemp("device") / "d.json"
    spec = load("bgmv_shrink")
    case = Case.parse("T=8 H=4096 R=16", spec)
    legal = [config for config in spec.configs(case.shape()) if config.TILE_H * config.TILE_R <= 16384]
    jobs = [Job(MICRO, *micro) for micro in micros()]
    jobs += [Job(RANDOM, spec, case, config, case) for config in random.Random(0).sample(legal, 10)]
    assert measure(jobs, device, results.begun(path, device), 1e9, lambda _: None) == 0
    return path


@pytest.fixture(scope="module")
def calibrated(measured):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(["calibrate", str(measured), "--json"]) == 0
    return json.loads(said.getvalue())


def test_every_micro_benchmark_is_right_and_timed(measured):
    rows = [row for row in results.read(measured).rows.values() if row["kind"] == MICRO]
    assert len(rows) == len(micros())
    assert not [row for row in rows if "us" not in row]


def test_true_constants_are_recovered(device, calibrated):
    truth, off, unseen = device.truth.constants, {}, set()
    for name, one in calibrated["constants"].items():
        assert one["status"] != "insisted", name
        if one["status"] == "unseen":
            unseen.add(name)
        else:
            off[name] = abs(one["value"] / truth[name] - 1)
    assert unseen <= HARD_TO_SEE
    assert max(off.values()) < 0.06, off
    assert sum(value < 0.05 for value in off.values()) >= len(off) - 1, off
    assert calibrated["misfit"]["micro-benchmarks"]["before"]["median"] > 0.05
    assert calibrated["misfit"]["micro-benchmarks"]["after"]["worst"] < 0.02


def test_configurations_that_were_not_fitted_are_in_order(calibrated):
    (ranking,) = calibrated["ranking"]
    assert ranking["configurations"] >= 6
    assert ranking["kendall_tau"]["after"] > 0.9 and ranking["top5_recall"]["after"] >= 0.8
    assert ranking["kendall_tau"]["after"] >= ranking["kendall_tau"]["before"]
    assert calibrated["misfit"]["configurations"]["after"]["worst"] < 0.03
    assert calibrated["evidence"] == "stand-in"


def test_the_chip_file_is_a_chip(measured, calibrated):
    chip = load_chip(measured.with_suffix(".chip.json"))
    assert calibrated["chip"] == str(measured.with_suffix(".chip.json"))
    assert chip.name == "Ascend910B3" and list(chip.constants) == list(CONSTANTS)
    assert chip.constants["launch_us"] == pytest.approx(calibrated["constants"]["launch_us"]["value"], rel=1e-3)


def test_results_of_other_sources_are_left_out(measured, tmp_path, capsys):
    data = json.loads(measured.read_text())
    data["sources"] = dict.fromkeys(data["sources"], "other")
    path = tmp_path / "d.json"
    path.write_text(json.dumps(data))
    assert main(["calibrate", str(path)]) == 2
    said = capsys.readouterr().err
    assert "has 0 micro-benchmarks that can be used" in said and "measured with another source" in said
    path.write_text(json.dumps({**json.loads(measured.read_text()), "chip": "Ascend310"}))
    assert main(["calibrate", str(path)]) == 2
    assert "no chip is called 'Ascend310'; give --chip, one of Ascend910B1" in capsys.readouterr().err


@pytest.mark.parametrize("content, said", [(None, "cannot read"), ("{]", "cannot read"), ("{}", "format None, not 1")])
def test_bad_files_are_refused(tmp_path, capsys, content, said):
    path = tmp_path / "d.json"
    if content is not None:
        path.write_text(content)
    assert main(["calibrate", str(path)]) == 2
    assert capsys.readouterr().err.startswith("calibrate: ") and not list(tmp_path.glob("*.chip.json"))


def test_a_chip_file_is_a_chip_wherever_one_is_asked_for(tmp_path, capsys):
    slow, base = tmp_path / "slow.json", chip_named("Ascend910B3")
    write_chip(slow, replace(base, constants={**base.constants, "launch_us": 1000.0}), {})
    command = ["simulate", "bgmv_shrink", "--shape", "T=1 H=256 R=4", "--json", "--chip"]
    times = []
    for chip in ("Ascend910B3", str(slow)):
        assert main([*command, chip]) == 0
        times.append(json.loads(capsys.readouterr().out)["microseconds"])
    assert times[1] - times[0] == pytest.approx(1000.0 - base.constants["launch_us"])
    assert main([*command, str(tmp_path / "none.json")]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_bad_chip_files_are_refused(tmp_path):
    path, chip = tmp_path / "c.json", chip_named("Ascend910B4")
    write_chip(path, chip, {})
    assert load_chip(path) == chip and load_chip(path).constants == chip.constants
    good = json.loads(path.read_text())
    less = {name: value for name, value in good["constants"].items() if name != "launch_us"}
    for change, said in (
        ({"format": 2}, "is no chip file"),
        ({"base": "Ascend310"}, "unknown chip 'Ascend310'"),
        ({"constants": less}, "launch_us missing or unknown"),
        ({"constants": {**good["constants"], "launch_us": -1}}, "launch_us = -1 is no number above 0"),
    ):
        path.write_text(json.dumps({**good, **change}))
        with pytest.raises(ValueError, match=said):
            load_chip(path)


def test_rank_agreement():
    assert kendall_tau([1, 2, 3, 4], [10, 20, 30, 40]) == 1
    assert kendall_tau([1, 2, 3, 4], [4, 3, 2, 1]) == -1
    assert kendall_tau([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(2 / 3)
    assert kendall_tau([1, 1, 2], [1, 2, 3]) == pytest.approx(2 / 6**0.5)
    assert kendall_tau([1, 1], [1, 2]) == 0
    assert recall([1, 2, 3, 4, 5, 6], [6, 2, 3, 4, 5, 1], 5) == 0.8
    assert recall([1, 2], [2, 1], 5) == 1
