"""What a kernel does with its arguments, found by running one launch again on other contents."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from .grids import axis_of
from .launches import IN, INOUT, OUT, UNTOUCHED, Seen

SMALLEST_TILE = 16
"""Elements; below that an integer constexpr is taken for a size or a flag, not for a tile."""


def roles(given: Mapping[str, Any], grid: tuple[int, ...], run: Callable[..., None]) -> dict[str, str]:
    """The role of each tensor.

    Each floating tensor, and each other one that changed, is filled with NaN (the largest integer) in its turn. One
    that is changed from there is written; it was also read, or only in parts written, where another result comes out.
    """
    tensors = {name: value for name, value in given.items() if isinstance(value, torch.Tensor)}
    plain = _copies(given)
    run(plain, grid)
    changed = {name for name in tensors if not same(tensors[name], plain[name])}
    found = {}
    for name, tensor in tensors.items():
        found[name] = IN
        if not tensor.is_floating_point() and name not in changed:
            continue
        try:
            poisoned = _copies(given, spoiled=name)
            before = poisoned[name].clone()
            run(poisoned, grid)
        except Exception:  # poison is no position, and no size: the kernel reads it
            found[name] = INOUT if name in changed else IN
            continue
        written = name in changed or not same(before, poisoned[name])
        alike = all(same(plain[other], poisoned[other]) for other in tensors if other != name or written)
        found[name] = (OUT if alike else INOUT) if written else (UNTOUCHED if alike else IN)
    return found


def free_constexprs(
    given: Mapping[str, Any], seen: Seen, grid_of: Callable[[Mapping[str, Any]], tuple | None], run: Callable[..., None]
) -> dict[str, bool]:
    """By integer constexpr from `SMALLEST_TILE` on: whether half of it, or twice, computes the same values.

    Those of ``@triton.autotune`` are free, as whoever wrote it says so.
    """
    launch, found = seen.launches[0], {}
    results = [name for name, role in seen.roles.items() if role in (OUT, INOUT)]
    plain = _copies(given)
    run(plain, launch.grid)
    for name in seen.constexprs:
        value = launch.values[name]
        if name in seen.choices:
            found[name] = True
            continue
        if type(value) is not int or value < SMALLEST_TILE or value & (value - 1):
            continue
        found[name] = False
        for other in (value // 2, 2 * value):
            changed = _copies({**given, name: other}, spoiled_all=[n for n in results if seen.roles[n] == OUT])
            grid = grid_of({**given, name: other}) or tuple(
                axis_of(size, launch.values, name, other) for size in launch.grid
            )
            try:
                run(changed, grid)
            except Exception:  # does not compile, does not fit, or goes out of bounds
                continue
            if all(_close(plain[result], changed[result]) for result in results):
                found[name] = True
            elif other < value:
                break  # half of it leaves something out: it covers a dimension
    return found


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors hold the same numbers, NaN in the same places."""
    one, other = one.detach().cpu(), other.detach().cpu()
    return bool(((one == other) | ((one != one) & (other != other))).all())


def _close(one: torch.Tensor, other: torch.Tensor) -> bool:
    one, other = one.detach().cpu().double(), other.detach().cpu().double()
    return torch.allclose(one, other, rtol=1e-2, atol=1e-3, equal_nan=True)


def _copies(given: Mapping[str, Any], spoiled: str = "", spoiled_all: Any = ()) -> dict[str, Any]:
    """The arguments with copies of the tensors, of the same layout; a tensor passed twice stays one."""
    made, values = {}, dict(given)
    for name, value in given.items():
        if not isinstance(value, torch.Tensor):
            continue
        key = value.data_ptr(), value.shape, value.stride()
        if key not in made:
            made[key] = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=value.device)
            made[key].copy_(value)
        values[name] = made[key]
    for name in {spoiled, *spoiled_all} - {""}:
        values[name].fill_(float("nan") if values[name].is_floating_point() else _largest(values[name].dtype))
    return values


def _largest(dtype: torch.dtype) -> int:
    return 1 if dtype == torch.bool else torch.iinfo(dtype).max
