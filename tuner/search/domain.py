"""What a search chooses from: the legal configurations of a kernel, as points among its tunables' values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cold_kernels.record import Record


@dataclass(frozen=True, eq=False)
class Domain:
    """Legal configurations, and where a search begins.

    Args:
        values: What each tunable may be, by name; in ascending order where there is one.
        legal: The configurations that may be tried, in the order of the space.
        default: The one that is tried first; it is legal.
        warm_start: Those that are tried after it.
    """

    values: Mapping[str, tuple]
    legal: tuple[Record, ...]
    default: Record
    warm_start: tuple[Record, ...] = ()

    def point(self, config: Mapping[str, Any]) -> tuple[int, ...]:
        """Positions of the choices among the tunables' values: the coordinates of the search."""
        return tuple(values.index(config[name]) for name, values in self.values.items())

    @cached_property
    def points(self) -> dict[tuple[int, ...], Record]:
        """The legal configurations by their points."""
        return {self.point(config): config for config in self.legal}

    @cached_property
    def ordered(self) -> tuple[bool, ...]:
        """For each tunable, whether its values are numbers: then a step leads to the next one, else to any other."""
        return tuple(all(map(_number, values)) for values in self.values.values())

    def neighbours(self, point: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """The points of legal configurations one step of one tunable away.

        Where the next values are illegal the step is a longer one, to the first legal value in that direction.
        """
        for axis, values in enumerate(self.values.values()):
            here = point[axis]
            ways = [range(here - 1, -1, -1), range(here + 1, len(values))]
            if not self.ordered[axis]:
                ways = [[other] for way in ways for other in way]
            for way in ways:
                moved = ((*point[:axis], there, *point[axis + 1 :]) for there in way)
                if (found := next((other for other in moved if other in self.points), None)) is not None:
                    yield found


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
