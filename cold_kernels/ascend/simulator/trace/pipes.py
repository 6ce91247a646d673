"""The pipes of all cores that a program runs on: what they are called, and their numbers."""

import functools

from .work import CUBE_PIPES, PIPES


def pipes_of(kind: str) -> tuple[str, ...]:
    """The pipes of a core of a kind ("AIV", "AIC")."""
    return CUBE_PIPES if kind == "AIC" else PIPES


@functools.cache
def labels(kinds: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """What the pipes of each core are called: by their names, in a group with the core's."""
    if len(kinds) == 1:
        return (pipes_of(kinds[0]),)
    cores = ["cube", *(f"vector {number}" for number in range(len(kinds) - 1))]
    return tuple(tuple(f"{core} {pipe}" for pipe in pipes_of(kind)) for core, kind in zip(cores, kinds, strict=True))


@functools.cache
def numbers(kinds: tuple[str, ...]) -> tuple[dict[str, int], ...]:
    """For each core, the number of each of its pipes: one core after the other."""
    found, first = [], 0
    for kind in kinds:
        found.append({pipe: first + place for place, pipe in enumerate(pipes_of(kind))})
        first += len(found[-1])
    return tuple(found)


def is_pipe(label: str, pipe: str) -> bool:
    """Whether what `labels` calls so is such a pipe, of any core."""
    return label.rpartition(" ")[2] == pipe
