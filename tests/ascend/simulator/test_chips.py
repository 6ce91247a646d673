import math
import statistics

import pytest

from cold_kernels.ascend.chips import CHIPS, CONSTANTS, Constant, chip_named


def test_every_chip_of_the_compiler_is_known():
    assert len(CHIPS) == 12  # that the compiler takes each is tests/ascend/test_toolchain.py's


@pytest.mark.parametrize("name", CHIPS)
def test_figures(name):
    chip = chip_named(name)
    assert chip.name == name and chip.vector_cores in (40, 48)
    assert 1.4e9 <= chip.frequency <= 1.9e9
    assert 0.6e12 < chip.hbm_bytes_per_second < chip.hbm_peak <= 1.8e12 < 2 * chip.l2_bytes_per_second
    assert chip.constants == {name: constant.nominal for name, constant in CONSTANTS.items()}


def test_programs_are_dispatched_one_after_the_other():
    chip = chip_named("Ascend910B3")
    launch, dispatch, program = (chip.constants[name] for name in ("launch_us", "dispatch_us", "program_us"))
    assert chip.start_us(1) == pytest.approx(launch + dispatch + program)
    assert chip.start_us(400) == pytest.approx(chip.start_us(1) + 399 * dispatch)


def test_an_unknown_chip():
    with pytest.raises(ValueError, match="unknown chip 'Ascend950'; use one of Ascend910B1, Ascend910B2"):
        chip_named("Ascend950")


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_constant_says_what_it_is_and_whence(name):
    constant = CONSTANTS[name]
    assert constant.unit in ("B/cycle", "cycle", "us", "1") and len(constant.source) > 10
    assert 0 < constant.low <= constant.nominal <= constant.high
    assert constant.at(0) == pytest.approx(constant.low) and constant.at(1) == pytest.approx(constant.high)


@pytest.mark.parametrize("nominal, low, high", [(3, 4, 5), (6, 4, 5), (0, 0, 1), (-1, -2, 1)])
def test_a_constant_outside_its_interval(nominal, low, high):
    with pytest.raises(ValueError, match="not within"):
        Constant(nominal, low, high, "cycle", "nowhere")


def test_plausible_chips_are_within_the_intervals_and_cover_them():
    chips = chip_named("Ascend910B3").plausible(32)
    assert len(chips) == 32
    for name, constant in CONSTANTS.items():
        values = sorted(chip.constants[name] for chip in chips)
        assert constant.low * (1 - 1e-9) <= values[0] and values[-1] <= constant.high * (1 + 1e-9)
        width = math.log(constant.high / constant.low)
        strata = [math.log(value / constant.low) / width * 32 for value in values]
        assert all(place - 1e-6 <= stratum <= place + 1 + 1e-6 for place, stratum in enumerate(strata))


def test_constants_are_drawn_apart():
    chips = chip_named("Ascend910B3").plausible(64)
    for one, other in [("load_rate", "store_rate"), ("scalar", "flag"), ("burst", "vector_issue")]:
        drawn = [[math.log(chip.constants[name]) for chip in chips] for name in (one, other)]
        assert abs(statistics.correlation(*drawn)) < 0.5


def test_plausible_chips_come_back():
    chip = chip_named("Ascend910B3")

    def figures(*arguments):
        return [drawn.constants for drawn in chip.plausible(*arguments)]

    assert figures(8) == figures(8) == figures(8, 0)
    assert figures(8) != figures(8, 1)
    assert figures(8) != [drawn.constants for drawn in chip_named("Ascend910B4").plausible(8)]
    assert chip.constants == chip_named("Ascend910B1").constants
