"""The fit on made-up times: what it takes from them, what from the intervals, and what it says of either."""

import math
from dataclasses import dataclass

import pytest

pytest.importorskip("triton")
pytest.importorskip("optuna")
from cold_kernels.ascend.chips import CONSTANTS, Chip
from tuner.calibration.calibrate import misfit
from tuner.calibration.fit import HELD, INSISTED, NOISE, OUTLIER, SEEN, UNSEEN, Seen, fit

LAUNCH = CONSTANTS["launch_us"]
WITHIN = math.sqrt(LAUNCH.nominal * max(LAUNCH.low, LAUNCH.high, key=lambda end: abs(math.log(end / LAUNCH.nominal))))
"""A launch well inside of its interval, and not the nominal one."""
SURE = 0.004
"""Spread of times that were measured well: it adds little to `NOISE`."""
SIGMA = math.hypot(NOISE, SURE / 2)
"""Standard error of such a time where the model fits."""


def chip(*names: str) -> Chip:
    return Chip("made-up", 20, 1.8e9, 1.6e12, constants={name: CONSTANTS[name].nominal for name in names})


@dataclass(frozen=True)
class Sum:
    """A time that is a sum of constants, so many of each, in microseconds."""

    counts: dict[str, float]

    def on(self, chip: Chip) -> float:
        return sum(count * chip.constants.get(name, 1.0) for name, count in self.counts.items())


def row(us: float, spread: float = SURE, **counts: float) -> Seen:
    return Seen("micro", "made-up", Sum(counts), us, spread)


def launches(*times: float, spread: float = SURE) -> list[Seen]:
    """Measured times of what takes as long as a launch."""
    return [row(us, spread, launch_us=1) for us in times]


def launch_us(rows: list[Seen]) -> tuple[float, float, str]:
    """The fitted constant, its standard error and its status."""
    found = fit(rows, chip("launch_us", "flag"))  # and one of which they say nothing
    return found.values["launch_us"], found.errors["launch_us"], found.status["launch_us"]


def test_constants_that_explain_the_times():
    truth = dict(scalar=1.2, flag=20.0, scalar_local=6.0)
    mixes = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (30, 2, 1), (4, 1, 9), (90, 1, 1)]
    rows = []
    for mix in mixes:
        counts = dict(zip(truth, mix, strict=True))
        rows.append(row(sum(truth[name] * count for name, count in counts.items()), **counts))
    found = fit(rows, chip(*truth))
    assert found.values == pytest.approx(truth, rel=1e-3)
    assert set(found.status.values()) == {SEEN}


@pytest.mark.parametrize("end, beyond", [(LAUNCH.low, -1), (LAUNCH.high, 1)], ids=["low", "high"])
def test_what_is_little_outside_its_interval_is_held_at_its_end(end, beyond):
    value, error, status = launch_us(launches(end * math.exp(2 * SIGMA * beyond)))
    assert value == pytest.approx(end, rel=1e-9) and (error, status) == (0, HELD)


@pytest.mark.parametrize("us", [LAUNCH.low / 1.5, LAUNCH.high * 1.5], ids=["low", "high"])
def test_what_is_far_outside_its_interval_is_left_there(us):
    value, error, status = launch_us(launches(us))
    assert value == pytest.approx(us, rel=1e-3) and status == INSISTED
    assert error == pytest.approx(SIGMA, rel=1e-3)


def test_a_measured_spread_is_an_uncertainty():
    _, error, status = launch_us(launches(*[WITHIN] * 4, spread=0.1))
    assert error == pytest.approx(math.hypot(NOISE, 0.05) / 2, rel=0.01) and status == SEEN
    _, error, status = launch_us(launches(WITHIN, spread=0.8))
    width = math.log(LAUNCH.high / LAUNCH.low)
    assert error == pytest.approx((0.4**-2 + width**-2) ** -0.5, rel=0.01) and status == UNSEEN


def test_times_count_by_their_spread():
    value, *_ = launch_us(launches(*[WITHIN] * 3) + launches(*[1.25 * WITHIN] * 2, spread=0.4))
    assert value == pytest.approx(WITHIN, rel=1e-3)


def test_an_outlier_counts_linearly():
    value, _, status = launch_us(launches(*[WITHIN] * 7, 10 * WITHIN))
    assert math.log(value / WITHIN) == pytest.approx(OUTLIER * SIGMA / 7, rel=0.05) and status == SEEN


def test_what_no_time_depends_on_keeps_its_value():
    found = fit(launches(WITHIN, WITHIN), chip("launch_us", "flag"))
    flag = CONSTANTS["flag"]
    assert found.values["flag"] == pytest.approx(flag.nominal) and found.status["flag"] == UNSEEN
    assert found.errors["flag"] == pytest.approx(math.log(flag.high / flag.low))
    assert found.status["launch_us"] == SEEN


def test_times_that_contradict_each_other_count_less():
    apart = 1.0
    value, error, status = launch_us(launches(*(WITHIN * math.exp(apart * sign) for sign in (-1, 0, 1))))
    data, nominal = 3 / (1.4826 * apart) ** 2, 1 / math.log(LAUNCH.high / LAUNCH.low) ** 2
    between = data / (data + nominal) * math.log(WITHIN / LAUNCH.nominal)  # 0 is the nominal value
    assert math.log(value / LAUNCH.nominal) == pytest.approx(between, rel=0.02)
    assert error == pytest.approx((data + nominal) ** -0.5, rel=0.02) and status == UNSEEN


def test_misfit_counts_both_directions():
    times = [(8, 10), (10, 10), (12, 10)]  # measured, simulated
    found = misfit([row(us, launch_us=simulated / LAUNCH.nominal) for us, simulated in times], chip("launch_us"))
    assert found == {"median": 0.2, "worst": 0.25}
