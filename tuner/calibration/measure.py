"""One job on a device, and all of them until the time is over."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from cold_kernels.cases import errors

from .jobs import Job
from .npu import MeasuredDevice
from .results import Results


class DeviceLost(RuntimeError):
    """The device does not answer any more; what was measured before is on disk."""


def measured(job: Job, device: MeasuredDevice) -> dict[str, Any]:
    """The outcome of a job, in the words of `results`: checked against float64 first, timed if right.

    Whatever goes wrong with it is an outcome too.
    """
    try:
        if why := wrong(job, device):
            return {"failure": why}
        samples = device.time(calls(job, device, device.place(job.case.tensors(job.spec))))
    except Exception as error:
        said = " ".join(str(error).split())
        return {"failure": f"{type(error).__name__}: {said[:400]}"}
    low, middle, high = statistics.quantiles(samples, n=4)
    if not middle > 0:
        return {"failure": f"a median time of {middle} us"}
    return {"us": round(middle, 4), "spread": round((high - low) / 2 / middle, 5), "samples": len(samples)}


def wrong(job: Job, device: MeasuredDevice) -> str:
    """What is wrong with the job's outputs; "" if they are within the spec's bound of float64."""
    host = job.checked.tensors(job.spec)
    args = device.place(host)
    device.run(calls(job, device, args))
    found = {name: value.cpu() if isinstance(value, torch.Tensor) else value for name, value in args.items()}
    off = errors(job.spec, found)
    name = max(off, key=off.get)
    return "" if off[name] <= 1 else f"{name} is {off[name]:.3g} times the allowed error off float64"


def calls(job: Job, device: MeasuredDevice, args: dict[str, Any]) -> list:
    """The job's launches on ``args``, those without programs left out."""
    made = job.spec.calls(args, job.config, device.backend, device.cores)
    return [call for call in made if 0 not in call.grid]


def measure(
    jobs: Sequence[Job],
    device: MeasuredDevice,
    results: Results,
    seconds: float,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Measure what is not done yet until ``seconds`` are over; what was measured is on disk at any moment.

    Returns:
        How many jobs are left.

    Raises:
        DeviceLost: a job failed and took the device with it.
        KeyboardInterrupt: the job that was being measured is left to the next run.
    """
    end = clock() + seconds
    todo = [job for job in jobs if not results.done(job)]
    for number, job in enumerate(todo):
        if clock() >= end:
            return len(todo) - number
        results.begin(job)
        try:
            outcome = measured(job, device)
        except KeyboardInterrupt:
            results.drop(job)
            raise
        results.put(job, outcome)
        told = f"{outcome['us']:.2f} us, +-{outcome['spread']:.1%}" if "us" in outcome else outcome["failure"]
        say(f"{len(jobs) - len(todo) + number + 1}/{len(jobs)} {job}: {told}")
        if "failure" in outcome and not device.alive():
            raise DeviceLost(f"the device does not answer any more after {job}")
    return 0
