"""Copies between global memory and the unified buffer whose rows are so short that each costs more than its bytes."""

import math
from collections import defaultdict
from collections.abc import Iterator

from ..simulator.profile.price import saved
from ..simulator.trace.events import Event, Issue
from ..simulator.trace.work import LOAD, STORE, work
from .codes import SHORT_COPIES
from .finding import Finding, events, place_of
from .launch import ProfiledLaunch

SHORT = 64
"""Bytes of a row: below, its burst costs more than its bytes."""
LONG = 512
"""Bytes of the rows that the price is counted against: a line of the second-level cache."""
BURST = "burst"
VERBS = {LOAD: "loaded", STORE: "stored"}


def short_copies(launch: ProfiledLaunch) -> Iterator[Finding]:
    """A finding for each line and direction; its price is against the same bytes in rows of 512."""
    lines: dict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in events(launch):
        if (
            isinstance(event, Issue)
            and event.op
            and 1 < _rows(event)
            and event.work.global_bytes < SHORT * _rows(event)
        ):
            lines[place_of(event.op, launch), event.work.pipe].append(event)
    for (place, pipe), found in lines.items():
        most = max(found, key=_rows)
        size = most.work.global_bytes / _rows(most)
        short = set(found)
        yield Finding(
            SHORT_COPIES,
            launch.function,
            place,
            f"{_rows(most)} bursts of {size:g} bytes are {VERBS[pipe]} at once, and each costs more than its bytes",
            f"let a row hold at least {SHORT} bytes, better {LONG}: tile more of the last axis, or lay the tensor out "
            "so that what is read together stands together",
            saved(launch.simulation, lambda event, short=short: _in_long_rows(event) if event in short else event),
        )


def _rows(event: Issue) -> int:
    """Bursts of a copy; 0 of what is none."""
    return int(dict(event.work.counts).get(BURST, 0)) if event.work.pipe in VERBS else 0


def _in_long_rows(event: Issue) -> Issue:
    """The copy as if its bytes were in rows of `LONG`."""
    old = event.work
    counts = tuple(
        (name, math.ceil(old.global_bytes / LONG) if name == BURST else min(times, 1))
        for name, times in old.counts
        if name == BURST or name.endswith("_issue")
    )
    return Issue(work(old.pipe, counts, old.global_bytes, old.drains, old.blocks, old.fallback), event.op)
