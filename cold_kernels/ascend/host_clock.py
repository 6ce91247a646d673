"""Host enqueue: what the host pays to give a launch to the device's queue, beside the device time of the launch.

The two clocks are never added up for a launch alone. *Device time* is what a profiler calls Task Duration and all that
a replayed graph takes (`Simulation.microseconds`). *Host enqueue* is paid in eager mode, where the host runs ahead of
the device: a sequence of launches takes what `enqueued_us` says.
"""

from collections.abc import Iterable, Mapping

from .chips import Constant

TRITON, TORCH = "triton", "torch"
_ISSUE = "triton-ascend issue 1675, 910B2, enqueued 5,000 times without a wait"
_INCLUSIVE = "vllm-ascend pull request 9601, dispatch, kernel and return"
ENQUEUE_US = {
    TRITON: Constant(
        23.7, 8.6, 87, "us", f"{_ISSUE}: C launcher 23.7, an optimised one 8.6; {_INCLUSIVE}: at least 86.3, mean"
    ),
    TORCH: Constant(12.1, 8.6, 45, "us", f"{_ISSUE}: torch.add 12.1; {_INCLUSIVE}: 44 to 50 for an aclnn operator"),
}
"""What the host pays for a launch, by what launches it: Triton's own launcher, or an operator of torch's or aclnn's.

What Python does before it calls the launcher is not in the nominal values; ``python -m bench host`` measures that for
the kernels here. The upper ends do hold it, and the kernel itself, since nobody has published the share of each.
"""


def enqueue_us(end: str = "nominal") -> dict[str, float]:
    """Microseconds for a launch by what launches it.

    Args:
        end: ``nominal``, or an end of what the sources allow: ``low`` or ``high``.

    Raises:
        ValueError: ``end`` is none of these.
    """
    if end not in ("nominal", "low", "high"):
        raise ValueError(f"end {end!r}: must be nominal, low or high")
    return {name: getattr(constant, end) for name, constant in ENQUEUE_US.items()}


def enqueued_us(launches: Iterable[tuple[str, float]], enqueue: Mapping[str, float]) -> float:
    """Microseconds of a sequence of launches in eager mode, from the first enqueue to the end of the last launch.

    The host enqueues one launch after the other and waits for none; the device begins a launch when it is in the queue
    and the one before has ended: ``finish_i = max(finish_{i-1}, enqueued_i) + device_i``. A queue without a limit of
    its length is assumed.

    Args:
        launches: For each, what launches it (`TRITON` or `TORCH`) and its device time in microseconds.
        enqueue: Microseconds that the host pays, by what launches, as `enqueue_us` gives them; with 0 for all the
            result is the sum of the device times, which is what a replayed graph takes if nothing passes between its
            launches.
    """
    queued = finished = 0.0
    for launcher, device_us in launches:
        queued += enqueue[launcher]
        finished = max(finished, queued) + device_us
    return finished
