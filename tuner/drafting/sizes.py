"""Names for the sizes of tensors, and what a kernel's integers are: dimensions, strides, products, tiles."""

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from .launches import Seen, SeenLaunch


@dataclass
class Sizes:
    """What the integers of a kernel's launches are.

    Args:
        dims: The names of each tensor's dimensions.
        strides: Parameters that are a stride: ``(tensor, place of the dimension)``.
        counts: Parameters that follow from sizes, as Python over ``s``.
        values: By dimension its size in each launch.
        notes: What was guessed, in sentences.
    """

    dims: dict[str, list[str]]
    strides: dict[str, tuple[str, int]] = field(default_factory=dict)
    counts: dict[str, str] = field(default_factory=dict)
    values: dict[str, list[int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def stem(parameter: str) -> str:
    """The name of a tensor without what says that it is a pointer."""
    return re.sub(r"_?(ptr|pointer)s?$", "", parameter, flags=re.I) or parameter


def sizes_of(seen: Seen, tiles: Sequence[str]) -> Sizes:
    """Name the sizes of all tensors.

    A size has the name of the integer argument that equals it in all launches; what no argument names is called after
    its tensor and place, and tensors of one shape in all launches share it.
    """
    first = seen.launches[0]
    found = Sizes({name: [""] * len(tensor.shape) for name, tensor in first.tensors().items()})
    integers = [name for name in first.integers() if name not in tiles]
    _find_strides(seen, integers, found)
    rest = [name for name in integers if name not in found.strides]
    _name_by_arguments(seen, rest, found)
    _name_by_place(seen, found)
    for tensor, dims in found.dims.items():
        for place, dim in enumerate(dims):
            found.values[dim] = [launch.values[tensor].shape[place] for launch in seen.launches]
    left = [name for name in rest if name not in found.values]
    for name in left:
        if text := _product_of_sizes(seen, name, found) or _power_over(seen, name, found):
            found.counts[name] = text
    return found


def _find_strides(seen: Seen, integers: list[str], found: Sizes) -> None:
    taken: set[tuple[str, int]] = set()
    for name in integers:
        if "stride" not in name.lower():
            continue
        fits = [
            (tensor, place)
            for tensor, dims in found.dims.items()
            for place in range(len(dims))
            if all(launch.values[tensor].strides[place] == launch.values[name] for launch in seen.launches)
        ]
        if not fits:
            continue
        ranked = sorted(fits, key=lambda fit: (-_likeness(name, fit[0]), fit in taken, list(found.dims).index(fit[0])))
        tensor, place = found.strides[name] = ranked[0]
        taken.add(ranked[0])
        if len(fits) > 1 and not _likeness(name, tensor):
            found.notes.append(
                f"{name} is taken for the stride of {tensor} along its dimension {place}; others are equal"
            )


def _likeness(parameter: str, tensor: str) -> int:
    """How much of a stride's name is its tensor's."""
    words, mine = re.split(r"_|stride", parameter.lower()), stem(tensor).lower()
    if mine in words or parameter.lower().startswith(f"{mine}_"):
        return 100 + len(mine)
    return max((len(w) for w in words if w and (mine.startswith(w) or w.startswith(mine))), default=0)


def _name_by_arguments(seen: Seen, integers: list[str], found: Sizes) -> None:
    by_value: dict[tuple[int, ...], list[str]] = {}
    for name in integers:
        by_value.setdefault(tuple(launch.values[name] for launch in seen.launches), []).append(name)
    for values, names in by_value.items():
        places = [
            (tensor, place)
            for tensor, dims in found.dims.items()
            for place in range(len(dims))
            if _extents(seen, tensor, place) == values
        ]
        if not places or set(values) == {1}:
            continue
        ranks: dict[str, int] = {}
        for tensor, place in places:
            rank = ranks.get(tensor, 0)
            ranks[tensor] = rank + 1
            found.dims[tensor][place] = names[min(rank, len(names) - 1)]
        if len(names) > 1:
            equal = " and ".join(names)
            found.notes.append(f"{equal} were equal in every launch that was seen: which is which is a guess")
            used = found.dims.values()
            for name in names:
                if not any(name in dims for dims in used):
                    found.counts[name] = f"s.{names[0]}"


def _extents(seen: Seen, tensor: str, place: int) -> tuple[int, ...]:
    return tuple(launch.values[tensor].shape[place] for launch in seen.launches)


def _name_by_place(seen: Seen, found: Sizes) -> None:
    shapes: dict[tuple, str] = {}
    agreed: dict[tuple[int, ...], str] = {}
    several = len({_sizes(launch) for launch in seen.launches}) > 1
    taken = {name for dims in found.dims.values() for name in dims} | set(seen.launches[0].values)
    for tensor, dims in found.dims.items():
        whole = tuple(launch.values[tensor].shape for launch in seen.launches)
        like = shapes.setdefault(whole, tensor)
        for place, name in enumerate(dims):
            if name:
                continue
            extents = _extents(seen, tensor, place)
            if like != tensor:
                dims[place] = found.dims[like][place]
                found.notes.append(f"{tensor} had the shape of {like}: they share {dims[place]}")
            elif several and len(set(extents)) > 1 and extents in agreed:
                dims[place] = agreed[extents]
                found.notes.append(f"{dims[place]} of {tensor} was equal in all {len(seen.launches)} launches")
            else:
                dims[place] = _fresh(f"{stem(tensor)}_{place}", taken)
            agreed.setdefault(extents, dims[place])


def _sizes(launch: SeenLaunch) -> tuple:
    return tuple(tensor.shape for tensor in launch.tensors().values())


def _fresh(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _product_of_sizes(seen: Seen, name: str, found: Sizes) -> str:
    """``s.A * s.B`` where an argument is the product of some of a tensor's sizes in all launches."""
    wanted = [launch.values[name] for launch in seen.launches]
    for dims in found.dims.values():
        for count in range(len(dims), 1, -1):
            for chosen in itertools.combinations(dict.fromkeys(dims), count):
                if [math.prod(sizes) for sizes in zip(*(found.values[d] for d in chosen), strict=True)] == wanted:
                    found.notes.append(f"{name} is taken for {' times '.join(chosen)}")
                    return " * ".join(f"s.{dim}" for dim in chosen)
    return ""


def _power_over(seen: Seen, name: str, found: Sizes) -> str:
    """``triton.next_power_of_2(s.A)`` where a constexpr is that in all launches and no other value did."""
    if name not in seen.constexprs or seen.free.get(name, True):
        return ""
    wanted = [launch.values[name] for launch in seen.launches]
    for dim, values in found.values.items():
        if [1 << max(0, value - 1).bit_length() for value in values] == wanted and wanted[0] > 1:
            found.notes.append(
                f"{name} is taken for the power of two that covers {dim}; another value computed another result"
            )
            return f"triton.next_power_of_2(s.{dim})"
    return ""
