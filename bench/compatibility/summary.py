"""What the tests of a repository came to, counted by cause."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .causes import Cause, Whose, cause_of, words_of
from .settled import settled

GOAL_EACH, GOAL_ALL, GOAL_OURS = 0.95, 0.98, 0.02
"""Shares of the counted tests: that pass in each repository, over all, and that do not for reasons of ours."""


@dataclass(frozen=True)
class Failure:
    """A test that did not pass, or a file that could not be imported.

    Args:
        words: What went wrong, in one line.
    """

    test: str
    cause: Cause
    words: str


@dataclass(frozen=True)
class Summary:
    """The tests of one repository.

    Args:
        files: Files that could not be imported; their tests are not counted.
        with_cube: The same of the tests alone that launched a program with `tl.dot`; None where nobody noted that.
    """

    name: str
    passed: int
    skipped: int
    failures: Sequence[Failure]
    files: Sequence[Failure]
    with_cube: "Summary | None" = None

    @property
    def by_cause(self) -> Counter[Cause]:
        """How many tests did not pass, by cause."""
        return Counter(failure.cause for failure in self.failures)

    def whose(self, whose: Whose) -> int:
        """How many tests did not pass for that party's causes."""
        return sum(failure.cause.whose is whose for failure in self.failures)

    @property
    def ran(self) -> int:
        """Tests that ran."""
        return self.passed + len(self.failures)

    @property
    def counted(self) -> int:
        """Tests that could pass here."""
        return self.ran - self.whose(Whose.NOBODY)

    @property
    def share(self) -> float:
        """Of the counted tests, those that passed; 1 where none is counted."""
        return self.passed / self.counted if self.counted else 1.0

    @property
    def passed_of_counted(self) -> str:
        """The share as tables show it."""
        return f"{self.share:.1%}" if self.counted else "-"

    @property
    def of_ours(self) -> float:
        """Of the counted tests, those that did not pass for reasons of ours."""
        return self.whose(Whose.OURS) / self.counted if self.counted else 0.0


def summary(name: str, rows: Sequence[Mapping[str, Any]]) -> Summary:
    """Count what `recorder` wrote of a repository's tests."""
    tests = {row["test"]: row for row in rows if row["when"] != "collect"}.values()
    files = {row["test"]: row for row in rows if row["when"] == "collect"}.values()
    whole = _counted(name, tests, [_failure(name, row) for row in files])
    if not any("cube" in row for row in tests):
        return whole
    return replace(whole, with_cube=_counted(name, [row for row in tests if row.get("cube")], []))


def _counted(name: str, tests: Iterable[Mapping[str, Any]], files: Sequence[Failure]) -> Summary:
    failed = [_failure(name, row) for row in tests if row["outcome"] == "failed"]
    outcomes = Counter(row["outcome"] for row in tests)
    return Summary(name, outcomes["passed"], outcomes["skipped"], failed, files)


def total(summaries: Sequence[Summary]) -> Summary:
    """All repositories as one."""
    return Summary(
        "all",
        sum(one.passed for one in summaries),
        sum(one.skipped for one in summaries),
        [failure for one in summaries for failure in one.failures],
        [failure for one in summaries for failure in one.files],
    )


def _failure(name: str, row: Mapping[str, Any]) -> Failure:
    known = settled(name, row)
    if known:
        return Failure(row["test"], known.cause, known.words)
    return Failure(row["test"], cause_of(row["errors"]), words_of(row["errors"]))
