"""Steps that may have to wait for another core of their group: they are generators, and give way at each yield."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .operations import Op


class Wait(NamedTuple):
    """What a waiting step yields while the counter of its core is 0."""

    flag: int
    op: Op


def waits(step: Callable) -> bool:
    """Whether a step is a generator function."""
    return getattr(step, "waits", False)


def waiting(step: Callable[[list], Iterator[Wait]]) -> Callable[[list], Iterator[Wait]]:
    """Mark a generator function as a step that may wait."""
    step.waits = True
    return step


def driven(parts: Callable[[list], Iterator[Callable]], *bodies: Callable) -> Callable[[list], Any]:
    """The step that runs what ``parts`` yields, steps among ``bodies``; it waits if one of these does."""
    if not any(map(waits, bodies)):

        def step(env: list) -> None:
            for part in parts(env):
                part(env)

        return step

    def waiting_step(env: list) -> Iterator[Wait]:
        for part in parts(env):
            if waits(part):
                yield from part(env)
            else:
                part(env)

    return waiting(waiting_step)
