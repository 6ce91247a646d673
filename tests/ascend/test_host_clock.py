"""Sequences of launches in eager mode: the host runs ahead, and the slower of the two decides."""

import pytest

from cold_kernels.ascend.host_clock import ENQUEUE_US, TORCH, TRITON, enqueue_us, enqueued_us

PAID = {TRITON: 20.0, TORCH: 10.0}


def launches(*device_us, launcher=TRITON):
    return [(launcher, us) for us in device_us]


def test_short_launches_wait_for_the_host():
    assert enqueued_us(launches(5, 5, 5), PAID) == 3 * 20 + 5


def test_long_launches_wait_for_the_first_alone():
    assert enqueued_us(launches(50, 50, 50), PAID) == 20 + 3 * 50


def test_the_host_runs_ahead_of_a_long_launch():
    assert enqueued_us(launches(60, 5, 5, 5), PAID) == 20 + 60 + 5 + 5 + 5  # all in the queue by then
    assert enqueued_us(launches(30, 5, 5, 5), PAID) == 4 * 20 + 5  # the device has caught up
    assert enqueued_us(launches(5, 5, 60), PAID) == 3 * 20 + 60


def test_each_launch_costs_what_launches_it():
    assert enqueued_us([*launches(1), *launches(1, 1, launcher=TORCH)], PAID) == 20 + 2 * 10 + 1
    with pytest.raises(KeyError):
        enqueued_us(launches(1, launcher="a driver"), PAID)


def test_never_less_than_either_clock_alone():
    times = [3.0, 40.0, 8.0, 8.0, 25.0, 1.0]
    both = enqueued_us(launches(*times), PAID)
    assert both >= max(sum(times), len(times) * PAID[TRITON])
    assert enqueued_us(launches(*times), dict.fromkeys(PAID, 0.0)) == sum(times)
    assert enqueued_us([], PAID) == 0


def test_what_a_launch_costs_the_host():
    assert enqueue_us()[TRITON] == 23.7 and enqueue_us()[TORCH] == 12.1
    for launcher, constant in ENQUEUE_US.items():
        assert enqueue_us("low")[launcher] == 8.6 < constant.nominal < enqueue_us("high")[launcher]
        assert constant.unit == "us" and "1675" in constant.source
    with pytest.raises(ValueError, match="end 'most': must be nominal, low or high"):
        enqueue_us("most")
