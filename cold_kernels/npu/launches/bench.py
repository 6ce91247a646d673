"""`triton.testing.do_bench` on the simulated device: simulated device time, never the clock of this machine."""

import sys
from collections.abc import Callable, Sequence

from ..device.clock import clock

_said: list[bool] = []


def device_time(
    fn: Callable[[], object],
    warmup=None,
    rep=None,
    grad_to_none=None,
    quantiles: Sequence[float] | None = None,
    return_mode: str = "mean",
):
    """Milliseconds of simulated device time of one call of ``fn``: of its Triton launches alone.

    The arguments are those of `triton.testing.do_bench`. One call is enough: the simulator gives the same time again.

    Raises:
        ValueError: ``fn`` launches no Triton kernel, so that there is no device time.
    """
    before, launches = clock.microseconds, clock.launches
    fn()
    if clock.launches == launches:
        raise ValueError(
            "do_bench on the simulated NPU: the function launches no Triton kernel, so it has no device time"
        )
    taken = (clock.microseconds - before) / 1e3
    if not _said:
        print("do_bench: simulated device time (cold_kernels.npu), not measured", file=sys.stderr)
        _said.append(True)
    if quantiles is not None:
        return [taken] * len(quantiles) if len(quantiles) > 1 else taken
    return [taken] if return_mode == "all" else taken


def device_time_npu(fn: Callable[[], object], *_, **__) -> float:
    """`triton.testing.do_bench_npu`: microseconds of simulated device time of one call."""
    return 1e3 * device_time(fn)
