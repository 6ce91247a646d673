"""``python -m bench host``: what a launch costs the host, from the operator's call to Triton's launcher."""

import argparse
import contextlib
import functools
import json
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from cold_kernels.ascend.chips import DEFAULT_CHIP
from cold_kernels.command import CommandFailed
from cold_kernels.devices import Device, interpreting

from .yardstick import python_loop

NPU = Device("ascend", DEFAULT_CHIP, 40)
BLOCKS, BLOCK = 200, 2e-3
"""A figure is the median of so many blocks, each of the calls that take about so many seconds: one call is short
beside what it costs to read the clock."""
ROWS = "T=16 idx=half dtype=fp16"
KERNELS = {
    "bgmv_shrink": f"{ROWS} H=4096 R=16",
    "bgmv_expand": f"{ROWS} H=4096 R=16",
    "bgmv_shrink_expand": f"{ROWS} H=4096 S=3 R=16 D=12288 starts=0/4096/8192",
    "bgmv_shrink_expand, row order": f"{ROWS} H=4096 S=3 R=16 D=12288 M=17 starts=0/4096/8192",
    "contrastive_score": "B=8 V=32000 dtype=fp16",
    "contrastive_argmax": "B=8 V=32000 dtype=fp16",
    "contrastive_sample": "B=8 V=32000 dtype=fp16",
}
"""The case of each row of the table; what follows a comma is no part of the kernel's name."""
LAYERS = 32
PROJECTIONS = (
    "H=4096 S=3 D=12288 starts=0/4096/8192",
    "H=4096 S=1 D=4096",
    "H=4096 S=2 D=22016 starts=0/11008",
    "H=11008 S=1 D=4096",
)
"""Of a layer of Llama-2-7B: the launches that its LoRA takes."""
STEP = f"step of {LAYERS} layers"


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "host",
        help="what launches cost the host",
        description="CPU time of the host from an operator's call until Triton's own launcher has its arguments, on a "
        f"stand-in for {NPU.chip}: CPU tensors, and nothing is launched. The reference is a loop in Python, timed in "
        "turn with each. The step has a row order, four bgmv_shrink_expand a layer, and one contrastive_argmax.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.set_defaults(run=run, needs=("rich", "triton"))


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    if interpreting():
        raise CommandFailed("TRITON_INTERPRET=1: nothing is launched; unset it")
    found = measured()
    if arguments.json:
        print(json.dumps(found, indent=1))
    else:
        _show(found)


def measured() -> dict[str, dict[str, float]]:
    """For each kernel and for a step: microseconds of CPU time of a call (``cpu_us``), and of the reference."""
    found = {}
    with one_thread(), stand_in():
        for name, call in calls().items():
            ours, reference = cpu_seconds(call, python_loop)
            found[name] = dict(cpu_us=round(ours * 1e6, 2), reference_us=round(reference * 1e6, 2))
    return found


@contextlib.contextmanager
def stand_in(launched: Callable[[Any, dict[str, Any]], None] | None = None) -> Iterator[None]:
    """Within, operators on CPU tensors launch as on `NPU`, and Triton's launcher is ``launched(kernel, given)``.

    ``given`` is what `JITFunction.run` takes by name, the grid too. Without ``launched`` nothing is done there.
    Two things differ from an NPU: the values of indices, slice starts and draws are looked at besides, as on all CPU
    tensors, and nobody asks whether a graph is captured.
    """
    from triton.runtime.jit import JITFunction

    from cold_kernels import devices, launch

    def run(kernel: Any, *args: Any, **given: Any) -> None:
        if launched:
            launched(kernel, given | dict(zip(kernel.arg_names, args, strict=False)))

    launch.forget()
    with (
        mock.patch.object(devices, "_device", lambda device, interpreted: NPU),
        mock.patch.object(devices, "in_torch_on_cpu", lambda: False),
        mock.patch.object(JITFunction, "run", run),
    ):
        yield
    launch.forget()


def calls() -> dict[str, Callable[[], object]]:
    """The operators' calls that are timed, by what the table calls them."""
    found: dict[str, Callable[[], object]] = {name: call(name, text) for name, text in KERNELS.items()}
    found[STEP] = step()
    return found


def call(name: str, text: str) -> Callable[[], object]:
    """An operator on the tensors of a case; alpha and what else may be numbers are numbers."""
    import cold_kernels
    from cold_kernels.cases import Case
    from cold_kernels.specs import load

    from .operators import operator

    kernel = name.partition(",")[0]
    spec = load(kernel)
    args = Case.parse(text, spec).tensors(spec)
    if not kernel.startswith("contrastive"):
        return operator(spec, args)
    draw = (0.7, 50, 0.9, args["uniform"]) if kernel == "contrastive_sample" else ()
    return functools.partial(getattr(cold_kernels, kernel), args["expert"], args["amateur"], 0.1, 0.5, *draw)


def step() -> Callable[[], None]:
    """A decode step's launches. All layers have the same tensors here, which costs as much as tensors of their own."""
    import cold_kernels

    layer = [call("bgmv_shrink_expand", f"{ROWS} R=16 M=17 {sizes}") for sizes in PROJECTIONS]
    choose = call("contrastive_argmax", KERNELS["contrastive_argmax"])
    order = functools.partial(cold_kernels.lora_row_order, _indices())

    def decode() -> None:
        order()
        for _ in range(LAYERS):
            for launch in layer:
                launch()
        choose()

    return decode


def _indices() -> Any:
    from cold_kernels.cases import Case
    from cold_kernels.specs import load

    spec = load("bgmv_shrink")
    return Case.parse(KERNELS["bgmv_shrink"], spec).tensors(spec)["idx"]


def cpu_seconds(*functions: Callable[[], object]) -> tuple[float, ...]:
    """Seconds of the process's CPU time that a call of each takes: the median of blocks, which take turns."""
    for function in functions:
        function()  # finds out all that is found out once
    counts = [max(1, round(BLOCK / _block(function, 5))) for function in functions]
    seen = [[_block(f, count) for f, count in zip(functions, counts, strict=True)] for _ in range(BLOCKS)]
    return tuple(statistics.median(times) for times in zip(*seen, strict=True))


def _block(function: Callable[[], object], calls: int) -> float:
    start = time.process_time()
    for _ in range(calls):
        function()
    return max(1e-9, time.process_time() - start) / calls


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Torch keeps to one thread within: CPU time counts those that wait for work, too."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _show(found: dict[str, dict[str, float]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"Host time of a launch on {NPU.chip}, without Triton's launcher",
        caption=f"CPU time of this process (time.process_time), medians of {BLOCKS} blocks of calls",
    )
    table.add_column("kernel")
    for column in ("us a call", "us, reference", "ratio"):
        table.add_column(column, justify="right")
    for name, row in found.items():
        ours, reference = row["cpu_us"], row["reference_us"]
        table.add_row(name, f"{ours:,.1f}", f"{reference:,.1f}", f"{ours / reference:.3f}")
    Console().print(table)
