"""What launches read and write, and whether their values are right, by Triton's interpreter.

Triton decides at its import whether it interprets, so this is a process of its own: run as a module it answers a
request a line, and `Interpreter` is the other end.
"""

import inspect
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cold_kernels.cases import Case, errors
from cold_kernels.command import CommandFailed
from cold_kernels.devices import Device
from cold_kernels.record import Record
from cold_kernels.spec import KernelSpec
from cold_kernels.specs import load

MOST = 8
"""Programs of a launch that are interpreted, evenly from first to last, where no other launch needs the rest."""


@dataclass(frozen=True)
class Traffic:
    """What one launch asks of memory, caches included.

    Args:
        programs: On its grid.
        loaded, stored: Bytes of a program, on average over those that were interpreted.
        most: Bytes of the program that moves most.
        largest: Bytes of the largest load: what a program has on its way at once.
    """

    programs: int
    loaded: float
    stored: float
    most: float
    largest: float


@dataclass
class _Counts:
    loaded: list[int] = field(default_factory=list)
    stored: list[int] = field(default_factory=list)
    largest: int = 0

    def begin(self) -> None:
        self.loaded.append(0)
        self.stored.append(0)

    def load(self, size: int) -> None:
        self.loaded[-1] += size
        self.largest = max(self.largest, size)


class Interpreter:
    """The process that interprets; `close` ends it."""

    def __init__(self) -> None:
        environment = os.environ | {"TRITON_INTERPRET": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tuner.gpu.interpreted"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def traffic(self, kernel: str, config: Record, case: Case, cores: int) -> list[Traffic]:
        """What each launch of a kernel, by the name that `specs.load` takes, moves on a case."""
        return [Traffic(**launch) for launch in self._ask("traffic", kernel, config, case, cores)]

    def wrong(self, kernel: str, config: Record, case: Case, cores: int) -> str | None:
        """What is wrong with the values; None if nothing is."""
        return self._ask("wrong", kernel, config, case, cores)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, what: str, kernel: str, config: Record, case: Case, cores: int) -> Any:
        request = dict(what=what, kernel=kernel, config=dict(config), case=str(case), cores=cores)
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise CommandFailed(f"the interpreter died of {kernel}, {config}, on {case}")
        found = json.loads(answer)
        if "error" in found:
            raise CommandFailed(f"interpreting {kernel}, {config}, on {case}: {found['error']}")
        return found["answer"]


def wrong(spec: KernelSpec, config: Record, case: Case, cores: int) -> str | None:
    """Interpret a case whole, and compare with the float64 reference."""
    from cold_kernels.launch import run

    args = case.tensors(spec)
    run(spec, args, config, Device("interpreter", "interpreter", cores))
    off = {name: ratio for name, ratio in errors(spec, args).items() if not ratio <= 1}
    if not off:
        return None
    name = max(off, key=off.get)
    return f"{name} is {off[name]:.3g} times the allowed error off float64 on {case}"


def traffic(spec: KernelSpec, config: Record, case: Case, cores: int) -> list[dict[str, float]]:
    """`Traffic` of each launch, as dictionaries."""
    calls = spec.calls(case.tensors(spec), config, "interpreter", cores)
    found = []
    for call in calls:
        programs = math.prod(call.grid)
        followed = call is not calls[-1]  # what it writes may decide what the next one does
        take = range(programs) if followed else range(0, programs, max(1, -(-programs // MOST)))
        counts = _Counts()
        with _counting(counts, call.kernel, call.grid, take):
            call.run()
        moved = [sum(pair) for pair in zip(counts.loaded, counts.stored, strict=True)]
        mean = [sum(each) / max(1, len(each)) for each in (counts.loaded, counts.stored)]
        found.append(dict(programs=programs, loaded=mean[0], stored=mean[1], most=max(moved, default=0),
                          largest=counts.largest))  # fmt: skip
    return found


class _SomePrograms:
    """A kernel's function as Triton's interpreter calls it for each program of a grid, of which it runs a few."""

    def __init__(self, whole: Any, counts: _Counts, take: Callable[[tuple[int, int, int]], bool]) -> None:
        self._whole, self._counts, self._take = whole, counts, take
        self.__globals__, self.__name__ = whole.__globals__, whole.__name__
        self.__annotations__, self.__signature__ = whole.__annotations__, inspect.signature(whole)

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        from triton.runtime.interpreter import interpreter_builder

        if self._take(interpreter_builder.grid_idx):
            self._counts.begin()
            self._whole(*args, **kwargs)


@contextmanager
def _counting(counts: _Counts, kernel: Any, grid: tuple[int, ...], take: Container[int]) -> Iterator[None]:
    """Only the programs of ``take`` run meanwhile, and what they move is counted."""
    from triton.runtime.interpreter import InterpreterBuilder

    load, store, rewrite = InterpreterBuilder.create_masked_load, InterpreterBuilder.create_masked_store, kernel.rewrite
    _, high, deep = (*grid, 1, 1)[:3]

    def counted_load(builder: Any, pointers: Any, mask: Any, *others: Any) -> Any:
        value = load(builder, pointers, mask, *others)
        counts.load(int(mask.data.sum()) * value.data.itemsize)
        return value

    def counted_store(builder: Any, pointers: Any, value: Any, mask: Any, *others: Any) -> Any:
        counts.stored[-1] += int(mask.data.sum()) * value.data.itemsize
        return store(builder, pointers, value, mask, *others)

    def taken(place: tuple[int, int, int]) -> bool:
        return (place[0] * high + place[1]) * deep + place[2] in take

    InterpreterBuilder.create_masked_load, InterpreterBuilder.create_masked_store = counted_load, counted_store
    kernel.rewrite = lambda: _SomePrograms(rewrite(), counts, taken)
    try:
        yield
    finally:
        del kernel.rewrite
        InterpreterBuilder.create_masked_load, InterpreterBuilder.create_masked_store = load, store


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to one request, or what went wrong in one line."""
    try:
        spec = load(request["kernel"]).on("cuda")
        what = {"traffic": traffic, "wrong": wrong}[request["what"]]
        found = what(spec, Record(request["config"]), Case.parse(request["case"], spec), request["cores"])
        return {"answer": found}
    except Exception as problem:
        return {"error": f"{type(problem).__name__}: {problem}".splitlines()[0]}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
