"""Which requests belong together: an expert and its amateur."""

from collections.abc import Container, Iterable

SUFFIX = "#amateur"


class Pairs:
    """Names of requests that run in pairs, by either's."""

    def __init__(self) -> None:
        self._other: dict[str, str] = {}
        self._amateurs: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._amateurs)

    def add(self, expert: str, taken: Container[str]) -> str:
        """Make a pair; returns the name for the amateur, which is none of those ``taken``."""
        amateur = expert + SUFFIX
        while amateur in taken:
            amateur += SUFFIX
        self._other[expert], self._other[amateur] = amateur, expert
        self._amateurs.add(amateur)
        return amateur

    def other(self, name: str) -> str | None:
        """The other one of the pair; None for a plain request."""
        return self._other.get(name)

    def is_amateur(self, name: str) -> bool:
        """Whether this is an amateur, which no client knows of; also of a pair that was dropped and not forgotten."""
        return name in self._amateurs

    def drop(self, name: str) -> str | None:
        """The pair is no more; returns the other one."""
        other = self._other.pop(name, None)
        if other is not None:
            del self._other[other]
        return other

    def forget(self, alive: Container[str]) -> None:
        """Let go of the names of amateurs that are not ``alive``."""
        self._amateurs = {name for name in self._amateurs if name in alive}

    def with_others(self, names: Iterable[str]) -> list[str]:
        """The names, each followed by the other one of its pair; none twice."""
        return list(dict.fromkeys(each for name in names for each in (name, self.other(name)) if each is not None))
