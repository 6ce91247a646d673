"""``python -m bench gpu``: all that a few minutes on a GPU can tell, in one JSON. Needs no network."""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from cold_kernels.cases import Case
from cold_kernels.command import CommandFailed
from cold_kernels.files import write_whole
from cold_kernels.launch import launch
from cold_kernels.specs import load

from ..timing.operators import BenchDevice, on_device, wrong
from .cases import ON_GPUS
from .device import Gpu, interleaved
from .lora import DECODING, PREFILL, WAYS, Projection

MINUTES = 7.0
"""A part that has begun is ended: compilation of a cell takes seconds."""
REPEATS = 20
"""Times that a way runs on the same tensors for its bits to be compared."""
OURS, THEIRS = "cold-kernels, fused", "vLLM"
FEW = 16
"""Rows up to which the goal wants 1.3 times vLLM's speed in the median cell."""


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "gpu",
        help="values and times on a GPU, beside vLLM's Triton operators and gathered products",
        description="Checks every kernel on its hard cases against float64, then times LoRA of one projection by our "
        "operators, by vLLM's where its package is installed, and by gathered batched products, all in turn; counts "
        "launches, compares bits. Writes one JSON file, part by part. Needs a GPU and upstream Triton, no network.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help=f"begin nothing new after so long; default: {MINUTES:g}"
    )
    parser.set_defaults(run=run, extra="gpu")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    if not arguments.minutes > 0:
        raise ValueError(f"--minutes {arguments.minutes:g} must be above 0")
    if not torch.cuda.is_available():
        raise CommandFailed("there is no GPU: torch sees none")
    found = measured(Gpu(), arguments.out, 60 * arguments.minutes, lambda said: print(said, flush=True))
    if found["wrong"]:
        raise CommandFailed(f"{arguments.out} has {len(found['wrong'])} wrong results, the first: {found['wrong'][0]}")


def measured(device: Any, path: Path, seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Run all parts that ``seconds`` allow, and write what they found after each; what was not begun is named.

    Args:
        device: `device.Gpu`, or what stands in for one.
    """
    end = time.monotonic() + seconds
    found: dict[str, Any] = {"on": device.describe(), "values": {}, "cells": {}, "wrong": [], "not_begun": []}
    for name, part in _parts(device, found):
        if time.monotonic() > end:
            found["not_begun"].append(name)
            continue
        try:
            said = part()
        except Exception as problem:  # one part's failure must not cost the others
            said = f"failed: {type(problem).__name__}: {problem}".splitlines()[0]
            found["wrong"].append(f"{name}: {said}")
        say(f"{name}: {said}")
        _write(path, found)
    found["goal"] = goal(found["cells"])
    found["clocks_at_end"] = device.clocks()
    _write(path, found)
    say(f"{path}: {len(found['cells'])} cells, {len(found['wrong'])} wrong, {len(found['not_begun'])} not begun")
    return found


def _parts(device: Any, found: dict[str, Any]) -> Iterator[tuple[str, Callable[[], str]]]:
    for name in ON_GPUS:
        yield f"values of {name}", lambda name=name: _values(device, name, found)
    for rows in (*DECODING, PREFILL):
        yield f"LoRA of {rows} rows", lambda rows=rows: _cell(device, rows, found)


def _values(device: Any, name: str, found: dict[str, Any]) -> str:
    """Every hard case in every element type, against float64."""
    spec = load(name)
    there = BenchDevice(device.name, device.name, device.synchronize)
    checked = 0
    for text in spec.hard:
        for dtype in spec.operands[spec.first].dtypes:
            case = Case.parse(f"{text} dtype={dtype}", spec)
            args = on_device(spec, case, there)
            launch(spec, {key: args[key] for key in (*spec.operands, *spec.scalars)})
            checked += 1
            if problem := wrong(spec, args, args[spec.outputs[0]]):
                found["wrong"].append(f"{case}: {problem}")
    found["values"][name] = checked
    return f"{checked} cases"


def _cell(device: Any, rows: int, found: dict[str, Any]) -> str:
    """One projection of so many rows, by every way that is installed."""
    p = Projection.made(rows, device.name, torch.float16)
    cell = found["cells"][str(rows)] = {"L2": "warm: calls follow one another on the same tensors", "ways": {}}
    expected, calls = p.reference(), {}
    for name, way in WAYS.items():
        facts = cell["ways"][name] = {}
        try:
            y = p.y.clone()
            way(p, y)()
            device.synchronize()
            facts["largest_error"] = float((y.cpu().double() - expected).abs().max() / expected.abs().max())
            facts |= _bits(device, p, way)
            calls[name] = way(p, p.y.clone())
            facts["launches"] = device.launches(calls[name])
        except ImportError as missing:
            facts["missing"] = str(missing)
        except Exception as problem:  # a way that fails is left out of the race, and said
            facts["failed"] = f"{type(problem).__name__}: {problem}".splitlines()[0]
            calls.pop(name, None)
            if name.startswith("cold-kernels"):
                found["wrong"].append(f"{rows} rows, {name}: {facts['failed']}")
    for kind, prepared in (("eager", dict(calls)), ("graph", _captured(device, calls, cell))):
        for name, times in interleaved(device, prepared).items():
            cell["ways"][name][kind] = times
    return ", ".join(
        f"{name} {facts['graph']['median_us']:.1f} us" for name, facts in cell["ways"].items() if "graph" in facts
    )


def _captured(device: Any, calls: dict[str, Callable], cell: dict[str, Any]) -> dict[str, Callable]:
    made = {}
    for name, call in calls.items():
        try:
            made[name] = device.captured(call)
        except Exception as problem:
            cell["ways"][name]["no_graph"] = f"{type(problem).__name__}: {problem}".splitlines()[0]
    return made


def _bits(device: Any, p: Projection, way: Callable) -> dict[str, bool]:
    """Whether runs have the same bits, and whether the first row has them where it is alone."""

    def once(part: Projection) -> torch.Tensor:
        y = part.y.clone()
        way(part, y)()
        device.synchronize()
        return y

    first = once(p)
    same = all(torch.equal(first, once(p)) for _ in range(REPEATS))
    return {"deterministic": same, "same_bits_alone": torch.equal(once(p.rows(slice(0, 1))), first[:1])}


def goal(cells: dict[str, Any]) -> dict[str, Any]:
    """How many times as fast ours is as vLLM's, from graphs; None where there is nothing to compare.

    The goal: never slower in any cell, and 1.3 times as fast in the median cell of up to `FEW` rows.
    """
    ratios = {}
    for rows, cell in cells.items():
        ours, theirs = (cell["ways"].get(name, {}).get("graph") for name in (OURS, THEIRS))
        if ours and theirs:
            ratios[rows] = round(theirs["median_us"] / ours["median_us"], 3)
    few = [ratio for rows, ratio in ratios.items() if int(rows) <= FEW]
    return {
        "times_as_fast_as_vllm": ratios,
        "never_slower": min(ratios.values()) >= 1 if ratios else None,
        "median_of_few_rows": statistics.median(few) if few else None,
        "met": bool(ratios) and min(ratios.values()) >= 1 and bool(few) and statistics.median(few) >= 1.3,
    }


def _write(path: Path, found: dict[str, Any]) -> None:
    def plain(value: Any) -> Any:
        """NaN and infinities as text: JSON has none."""
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items()}
        return str(value) if isinstance(value, float) and not math.isfinite(value) else value

    write_whole(path, json.dumps(plain(found), indent=1) + "\n")
