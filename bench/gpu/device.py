"""A GPU as the comparison on one uses it: times between events, alone and from a graph. Needs no profiler."""

import statistics
from collections.abc import Callable, Mapping
from typing import Any

import torch

ROUNDS, CALLS = 15, 20
"""Turns of all that are compared, one after the other, and calls in each: a slow moment meets all of them."""


class Gpu:
    """The current CUDA or ROCm device."""

    name = "cuda"

    def describe(self) -> dict[str, Any]:
        """What a result must say of the device and of what ran on it."""
        properties = torch.cuda.get_device_properties(0)
        import triton

        return {
            "device": properties.name,
            "multiprocessors": properties.multi_processor_count,
            "memory_bytes": properties.total_memory,
            "L2_bytes": getattr(properties, "L2_cache_size", None),
            "torch": torch.__version__,
            "triton": triton.__version__,
            "runtime": torch.version.hip or torch.version.cuda,
            "clocks": self.clocks(),
        }

    def clocks(self) -> str:
        """The clock of the multiprocessors just now, in MHz, by torch; it is not locked."""
        try:
            return f"{torch.cuda.clock_rate()} MHz now, not locked"
        except Exception as problem:  # it asks a library of the driver's that need not be there
            return f"unknown ({type(problem).__name__}), not locked"

    def synchronize(self) -> None:
        torch.cuda.synchronize()

    def captured(self, call: Callable[[], Any]) -> Callable[[], Any]:
        """The call's launches as a graph."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            call()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            call()
        return graph.replay

    def seconds(self, call: Callable[[], Any]) -> float:
        """The device's time of `CALLS` calls in a row, for one; caches are as the calls leave them."""
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        for _ in range(CALLS):
            call()
        last.record()
        last.synchronize()
        return first.elapsed_time(last) * 1e-3 / CALLS

    def launches(self, call: Callable[[], Any]) -> int | None:
        """Kernels that a call launches, by torch's profiler; None where it sees none."""
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            call()
            torch.cuda.synchronize()
        kinds = ("Memset", "Memcpy")
        return sum(event.count for event in profile.key_averages() if not event.key.startswith(kinds)) or None


def interleaved(device: Any, calls: Mapping[str, Callable[[], Any]]) -> dict[str, dict[str, float]]:
    """Microseconds of each call, median and quartiles of `ROUNDS` turns that all take one after the other."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    device.synchronize()
    for _ in range(ROUNDS):
        for name, call in calls.items():
            taken[name].append(device.seconds(call) * 1e6)
    found = {}
    for name, times in taken.items():
        low, middle, high = statistics.quantiles(times, n=4)
        found[name] = {"median_us": round(middle, 3), "low_us": round(low, 3), "high_us": round(high, 3)}
    return found
