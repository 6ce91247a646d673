import json

import pytest

pytest.importorskip("numpy")
from cold_kernels.ascend.chips import CONSTANTS
from tuner.calibration import instruction_tables as refit


def instruction(per_repeat, issue=3.0, scale=1.0):
    """Rows of a made-up instruction table."""
    return [[64 * n, 0.0, 0.0, n, scale * max(issue, per_repeat * n)] for n in range(1, 12)]


def copy(start, rate, most):
    """Rows of a made-up copy table."""
    sizes = [1, 2, 4, 8, 12, 16, 32, 64, 96, 128, 192]
    cycles = [max(start + kib * 1024 / rate, kib * 1024 / most) for kib in sizes]
    return [[kib, kib * 1024 / spent * refit.CLOCK / 2**30] for kib, spent in zip(sizes, cycles, strict=True)]


def test_an_instructions_cycles_come_back():
    found = {
        "VADD_FP32_FP32_FP32_1_core_910b1": instruction(2),
        "VSEL_FP16_FP16_FP16_1_core_910b1": instruction(2.2, scale=1000),  # some tables are in other units
        "VMUL_FP16_FP16_FP16_1_core_910b1": [[128, 42.0, 0.0, 1, 0.0]],  # and some have no cycles
    }
    fit = refit.of_class("repeat_binary", refit.CLASSES["repeat_binary"], found)
    assert fit.value == pytest.approx(2.1) and (fit.low, fit.high) == pytest.approx((2, 2.2))
    assert "2 tables, 1 without cycles or no line" in str(fit)


def test_a_type_can_be_a_class_of_its_own():
    found = {"VCADD_FP32_FP32_1_core_910b1": instruction(3), "VCADD_FP16_FP16_1_core_910b1": instruction(7)}
    assert refit.of_class("repeat_sum", refit.CLASSES["repeat_sum"], found).value == 3
    assert refit.of_class("repeat_extreme", refit.CLASSES["repeat_extreme"], found).value == 7
    assert refit.of_class("repeat_gather", refit.CLASSES["repeat_gather"], found) is None


def test_a_table_that_is_no_line_is_left_out():
    wild = [[64 * n, 0.0, 0.0, n, 3.0**n] for n in range(1, 12)]
    assert refit.per_repeat(refit.cycles_by_repeats(wild)) is None
    assert refit.per_repeat({}) is None


@pytest.mark.parametrize("start, rate, most", [(237, 88, 46.7), (135, 89, 65.9), (100, 126, 100), (193, 126, 1e9)])
def test_a_copys_start_and_rates_come_back(start, rate, most):
    found = refit.copies({"GM_TO_UB_910b1": copy(start, rate, most)}, "GM_TO_UB_910b1")
    assert found[:2] == pytest.approx((start, rate), rel=0.05) and found[4] < 0.2
    assert found[2] == pytest.approx(most, rel=0.05) or found[2] > most > 1000


def test_the_report_is_in_the_form_of_the_chips_constants(tmp_path):
    tables = {"VADD_FP32_FP32_FP32_1_core_910b1": instruction(2), "GM_TO_UB_910b1": copy(237, 88, 46.7)}
    (tmp_path / "tables.json").write_text(json.dumps(tables))
    said = "\n".join(refit.report(refit.tables(tmp_path)))
    assert '"repeat_binary": Constant(2, 2, 2, "cycle", "1 tables' in said and "at most 46.7 B/cycle" in said
    assert set(refit.CLASSES) < set(CONSTANTS)


def test_a_folder_without_tables(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path} has no JSON file"):
        refit.tables(tmp_path)
