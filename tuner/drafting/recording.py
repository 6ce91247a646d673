"""Launches of one kernel, seen while they run on the simulated NPU."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from triton.runtime.autotuner import Autotuner, Heuristics
from triton.runtime.jit import JITFunction

from cold_kernels.dtypes import dtype_name
from cold_kernels.source import python_function

from .launches import Seen, SeenLaunch, SeenTensor
from .probing import free_constexprs, roles

MOST = 32
"""Distinct launches that are looked at."""


class Recorder:
    """Sees the launches of one kernel, whoever makes them, and lets them go on."""

    def __init__(self, file: Path, name: str) -> None:
        self.file, self.name = file.resolve(), name
        self.seen: Seen | None = None
        self._busy = False

    def mine(self, kernel: Any) -> bool:
        """Whether a kernel, decorated or not, is the one that is looked for."""
        function = python_function(kernel)
        return function.__name__ == self.name and Path(function.__code__.co_filename).resolve() == self.file

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Inside, launches are seen; autotune takes its first configuration without a benchmark."""
        plain = {kind: kind.run for kind in _kinds()}
        for kind, real in plain.items():
            kind.run = self._seeing(kind, real)
        try:
            yield
        finally:
            for kind, real in plain.items():
                kind.run = real

    def _seeing(self, kind: type, real: Any) -> Any:
        def tuner(decorated: Any, *args: Any, **named: Any) -> Any:
            if not self.mine(decorated):
                return real(decorated, *args, **named)
            seen = self._begun(decorated)
            seen.keys = tuple(decorated.keys or ())
            _note_configs(seen, decorated.configs)
            chosen = decorated.configs[0]
            return decorated.fn.run(*args, **named, **chosen.all_kwargs())

        def heuristics(decorated: Any, *args: Any, **named: Any) -> Any:
            if self.mine(decorated):
                self._begun(decorated).heuristics += tuple(decorated.values)
            return real(decorated, *args, **named)

        def launch(kernel: Any, *args: Any, grid: Any, warmup: bool, **named: Any) -> Any:
            if not self._busy and not warmup and self.mine(kernel):
                self._busy = True
                try:
                    self._see(kernel, real, args, grid, named)
                finally:
                    self._busy = False
            return real(kernel, *args, grid=grid, warmup=warmup, **named)

        return launch if kind is JITFunction else heuristics if kind is Heuristics else tuner

    def _begun(self, kernel: Any) -> Seen:
        if self.seen is None:
            parameters = inspect.signature(python_function(kernel)).parameters
            fixed = frozenset(name for name, p in parameters.items() if "constexpr" in str(p.annotation))
            self.seen = Seen(kernel, fixed)
        return self.seen

    def _see(self, kernel: Any, real: Any, args: tuple, grid: Any, named: Mapping[str, Any]) -> None:
        seen = self._begun(kernel)
        parameters = inspect.signature(python_function(kernel)).parameters
        given = {name: p.default for name, p in parameters.items() if p.default is not p.empty}
        given |= dict(zip(parameters, args, strict=False)) | {n: v for n, v in named.items() if n in parameters}
        given = {name: given[name] for name in parameters}
        options = {name: value for name, value in named.items() if name not in parameters}
        launch = SeenLaunch(
            {n: _seen_value(n, v) for n, v in given.items()}, _grid(grid, given), _grids(grid, given, seen)
        )
        if launch in seen.launches or len(seen.launches) >= MOST:
            return
        if seen.launches and (why := _other(seen.launches[0], launch, seen)):
            seen.skipped.append(f"a launch with {why}: it would be a spec of its own")
            return
        seen.launches.append(launch)
        if len(seen.launches) == 1:

            def run(values: Mapping[str, Any], at: tuple[int, ...]) -> None:
                real(kernel, grid=at, warmup=False, **values, **options)

            seen.roles = roles(given, launch.grid, run)
            seen.free = free_constexprs(
                given, seen, lambda values: _grid(grid, values) if callable(grid) else None, run
            )


def _kinds() -> list[type]:
    kinds = [JITFunction, Heuristics, Autotuner]
    return kinds + [kind for kind in Autotuner.__subclasses__() if "run" in vars(kind)]


def _note_configs(seen: Seen, configs: Any) -> None:
    names = dict.fromkeys(name for config in configs for name in config.kwargs)
    for name in names:
        values = [config.kwargs[name] for config in configs if name in config.kwargs]
        seen.choices[name] = tuple(dict.fromkeys(values))


def _grid(grid: Any, given: Mapping[str, Any]) -> tuple[int, ...]:
    found = grid(dict(given)) if callable(grid) else grid
    return tuple(int(size) for size in (found if isinstance(found, tuple | list) else (found,)))


def _grids(grid: Any, given: Mapping[str, Any], seen: Seen) -> tuple:
    """A grid that is a function, asked for other values of the integer constexprs."""
    if not callable(grid):
        return ()
    found = []
    for name in sorted(seen.constexprs):
        value = given[name]
        if type(value) is int and value > 1:
            for other in (value // 2, 2 * value):
                try:
                    found.append(({name: other}, _grid(grid, {**given, name: other})))
                except Exception:  # the user's own function: what it cannot answer is not known
                    continue
    return tuple(found)


def _other(first: SeenLaunch, launch: SeenLaunch, seen: Seen) -> str:
    """How a launch takes other arguments than the first one; "" where only sizes and numbers differ."""
    for name, value in launch.values.items():
        before = first.values[name]
        if isinstance(value, SeenTensor) != isinstance(before, SeenTensor):
            return f"{name} {'present' if isinstance(value, SeenTensor) else 'absent'}"
        if isinstance(value, SeenTensor) and (len(value.shape), value.dtype) != (len(before.shape), before.dtype):
            return f"{name} of {len(value.shape)} dimensions in {value.dtype}"
        if name in seen.constexprs and value != before and not (type(value) is int and type(before) is int):
            return f"{name}={value!r}"
    return ""


def _seen_value(name: str, value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        numbers = value.detach().cpu()
        finite = numbers[numbers.isfinite()].double() if numbers.numel() else numbers.double()
        low, high = (float(finite.min()), float(finite.max())) if finite.numel() else (0.0, 0.0)
        dtype = dtype_name(value.dtype)
        return SeenTensor(tuple(value.shape), tuple(value.stride()), dtype, low, high, value.is_contiguous())
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "value") and type(value).__name__ == "constexpr":
        return value.value
    if type(value).__name__ == "dtype":  # tl.float32
        return value
    raise ValueError(f"argument {name} is a {type(value).__name__}; tensors, numbers, text and None are drafted")
