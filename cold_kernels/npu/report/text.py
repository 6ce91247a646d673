"""The summary at the end of a run, in lines of text."""

from collections.abc import Iterator
from typing import Any

MOST = 20
"""Kernels that are listed; the report's file has all of them."""


def title(record: dict[str, Any]) -> str:
    """The summary's headline."""
    return f"simulated {record['chip']}"


def lines(record: dict[str, Any]) -> Iterator[str]:
    """The summary, dearest kernels first; times are of the device as simulated unless they say otherwise."""
    kernels = record["kernels"]
    if not kernels:
        yield "no Triton kernel was launched"
        return

    def total(name: str) -> float:
        return sum(kernel[name] for kernel in kernels)

    yield (
        f"{len(kernels)} kernels, {total('launches')} launches; this machine spent {total('compile_seconds'):.1f} s on "
        f"{total('compilations')} compilations and {total('simulate_seconds'):.1f} s on simulating"
    )
    yield f"{'launches':>8} {'total us':>10} {'longest us':>10} {'bound':>5}  kernel (simulated device time)"
    for kernel in kernels[:MOST]:
        longest = kernel["longest"]
        yield (
            f"{kernel['launches']:8} {kernel['device_us']:10.1f} {longest['us']:10.1f} {longest['bound']:>5}  "
            f"{kernel['name']}  {kernel['file']}"
        )
        for finding in longest["findings"]:
            share = "" if finding["share"] is None else f" {finding['share']:.0%} of the cycles"
            yield f"{'':37} {finding['code']}{share} at {finding['file']}:{finding['line']}"
        for hazard in kernel["hazards"]:
            yield f"{'':37} hazard: {hazard}"
    if len(kernels) > MOST:
        yield f"and {len(kernels) - MOST} kernels more; --npu-report FILE has all"
