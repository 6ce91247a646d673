"""What the commands print: progress with the best so far, and tables."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from cold_kernels.tables import Entry

from .decision import GroupDecision
from .group import Group
from .tasks import CHIPS
from .trial import Outcome, in_a_line

PLAIN_EVERY = 8
"""Trials between two lines of progress where there is no terminal."""
PLAIN_WIDTH = 150
WHY_WIDTH = 120
"""Characters of a failure in a line of progress; the decision says more of it."""
HEADER = ("kernel", "shape", "default us", "best us", "gain", "wins", "worst regret", "x floor net", "bound")


class Report:
    """Prints to standard output; without a terminal no escape codes, no bars, and wide lines."""

    def __init__(self) -> None:
        console = Console(markup=False, highlight=False)
        self.plain = not console.is_terminal
        if self.plain:
            console = Console(markup=False, highlight=False, width=PLAIN_WIDTH, color_system=None)
        self.console = console

    def say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True)

    @contextmanager
    def progress(self, group: Group, done: int, total: int) -> Iterator["GroupProgress"]:
        """Progress over one group, of which ``done`` trials are there from earlier runs."""
        with GroupProgress(self, group, done, total) as shown:
            yield shown

    def table(self, rows: Iterable[Sequence[str]]) -> None:
        """Rows of `cells` under `HEADER`; nothing if there are none."""
        table = Table(box=box.ASCII if self.plain else box.SIMPLE_HEAD)
        for name in HEADER:
            words = name in ("kernel", "shape", "bound")
            table.add_column(name, justify="left" if words else "right", no_wrap=not words and not self.plain)
        for row in rows:
            table.add_row(*row)
        if table.row_count:
            self.console.print(table)

    def summary(self, decisions: Iterable[GroupDecision], chip: str) -> None:
        """The table of all groups, and a line for each group."""
        decisions = list(decisions)
        self.say(heading(chip))
        self.table(
            cells(decision.group.spec.name, row.entry(decision.group))
            for decision in decisions
            for row in decision.rows
        )
        for decision in decisions:
            self.say(f"{decision.group}: {decision.reason}")
            for config in dict.fromkeys(row.config for row in decision.rows):
                shapes = [row.case.sizes for row in decision.rows if row.config == config]
                which = ", ".join(
                    " ".join(f"{dim}={sizes[dim]}" for dim in decision.group.spec.bucket) for sizes in shapes
                )
                mark = " (default)" if config == decision.group.default else ""
                self.say(f"  {config}{mark}: {which}")


class GroupProgress:
    """A bar, or a line now and then; call it with the number of decided trials and the latest outcome."""

    def __init__(self, report: Report, group: Group, done: int, total: int) -> None:
        self._report = report
        self._group = group
        self._total = total
        self._done = done
        self._best: float | None = None
        self._default: float | None = None
        self._unusable = 0
        self._failure = self._default_failure = ""
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=16), MofNCompleteColumn(),
            TextColumn("{task.fields[best]}"), TimeElapsedColumn(), TimeRemainingColumn(),
            console=report.console, disable=report.plain,
        )  # fmt: skip

    def __enter__(self) -> "GroupProgress":
        self._bar.start()
        self._task = self._bar.add_task(str(self._group), total=self._total, completed=self._done, best="")
        if self._report.plain:
            earlier = f", {self._done} of them from earlier runs" if self._done else ""
            self._report.say(f"{self._group}: {self._total} trials{earlier}")
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def seen(self, outcome: Outcome, is_default: bool) -> None:
        """Take note of an outcome: of an earlier run, or before `__call__` shows it."""
        if not outcome.us or outcome.failure:
            self._unusable += 1
            self._failure = self._failure or outcome.failure
            if is_default:
                self._default_failure = outcome.failure
            return
        self._best = outcome.value if self._best is None else min(self._best, outcome.value)
        if is_default:
            self._default = outcome.value

    def __call__(self, done: int, outcome: Outcome) -> None:
        self._done = done
        self._bar.update(self._task, completed=done, best=self._words())
        if self._report.plain and (done % PLAIN_EVERY == 0 or done == self._total):
            self._report.say(f"{self._group}: {done}/{self._total} trials, {self._words()}")

    def stage(self, what: str) -> None:
        """Say what happens after the trials."""
        self._bar.update(self._task, best=f"{self._words()}; {what}")

    def _words(self) -> str:
        if self._best is None:
            words = "none works yet"
            if self._failure:
                why = f"the default {self._default_failure}" if self._default_failure else f"one {self._failure}"
                words += f" ({in_a_line(why, WHY_WIDTH if self._report.plain else WHY_WIDTH // 2)})"
        else:
            words = f"best {self._best:.2f} us"
            if self._default is not None:
                words += f" (default {self._default:.2f})"
            elif self._default_failure:
                words += f" (the default {self._default_failure.partition(':')[0]})"
        return words + (f", {self._unusable} unusable" if self._unusable else "")


def heading(chip: str) -> str:
    """What every table of simulated times must say above it."""
    return f"SIMULATED (HIVM level), device time, {chip}, {CHIPS} plausible chips; nothing was measured on an NPU"


def cells(kernel: str, entry: Entry) -> list[str]:
    """One row under `HEADER` from what a table keeps; ``-`` where it keeps nothing."""
    kept = entry.details

    def figure(name: str, form: str) -> str:
        return "-" if kept.get(name) is None else form.format(kept[name])

    floor, net = kept.get("floor_us"), kept.get("net_us")  # the floor has no launch in it
    return [
        kernel,
        str(kept.get("case", entry.shape)).replace(" index=int64", ""),
        figure("default_us", "{:.2f}"),
        figure("best_us", "{:.2f}"),
        figure("gain", "{:.2f}x"),
        "default" if kept.get("wins") is None else f"{kept['wins']}/{kept['chips']}",
        figure("worst_regret", "{:.1%}"),
        f"{net / floor:.2f}" if net and floor else "-",
        figure("bound", "{}"),
    ]
