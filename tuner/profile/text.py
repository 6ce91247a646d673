"""What ``simulate`` prints for people: the object of `analyse`, as lines and tables."""

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.table import Table

from ..search.display import Report

CAUSES_SHOWN = 4
"""Causes of each pipe that are named; the others are added up."""
BAR, MAP = 24, 48
"""Characters of a bar, and of a line of the unified buffer's map."""
WIDTH = 64
"""Characters of source text in a table."""


def show(found: dict[str, Any], written: Iterable[str]) -> None:
    """Print it to standard output; ``written`` are lines about files."""
    report = Report()
    report.say(f"{found['evidence']}: {found['kernel']} on {found['chip']}")
    if found["config"] is not None:
        report.say(f"shape   {found['shape']}")
        words = " ".join(f"{name}={value}" for name, value in found["config"].items())
        report.say(f"config  {words} ({found['config_from']})")
    launches = found["launches"]
    each = " + ".join(f"{launch['launch_microseconds']:.3g}" for launch in launches)
    report.say(
        f"time    {found['microseconds']:.2f} us simulated: {found['cycles']:.0f} cycles and {each} us to launch"
    )
    for number, launch in enumerate(launches, 1):
        report.say("")
        grid = "x".join(map(str, launch["grid"]))
        which = f"launch {number} of {len(launches)}: {launch['function']}"
        report.say(f"{which}, grid {grid}; core {launch['core']} finishes last")
        report.say(f"  {launch['verdict']}")
        for warning in launch["warnings"]:
            report.say(f"  WARNING: {warning}")
        _pipes(report, launch)
        _critical(report, launch)
        _causes(report, launch)
        _lines(report, launch)
        _buffers(report, launch["unified_buffer"])
        for memory in launch["cube_memories"]:
            peak, capacity = (memory[name] / 1024 for name in ("peak_bytes", "capacity_bytes"))
            report.say(f"  {memory['name']}: {peak:.1f} of {capacity:.0f} KiB planned")
        _hazards(report, launch["hazards"])
    _findings(report, found["findings"], found["unchecked"])
    for line in written:
        report.say(line)


def _table(report: Report, title: str, *columns: str, words: int) -> Table:
    """An empty table; the last ``words`` columns are text."""
    report.say(f"\n  {title}")
    table = Table(box=box.ASCII if report.plain else box.SIMPLE_HEAD)
    for number, name in enumerate(columns):
        text = number == 0 or number >= len(columns) - words
        table.add_column(name, justify="left" if text else "right", no_wrap=not text)
    return table


def _pipes(report: Report, launch: dict[str, Any]) -> None:
    total = launch["cycles"] or 1.0
    table = _table(
        report, "cycles by pipe (busy + stalled + idle = all)", "pipe", "busy", "stalled", "idle", "", words=1
    )
    for pipe in _shown(launch):
        spent = launch["pipes"][pipe]
        parts = [spent[name] for name in ("busy", "stalled", "idle_at_end")]
        cells = [f"{part:.0f} {part / total:4.0%}" for part in parts]
        marks = "".join(mark * round(BAR * part / total) for mark, part in zip("#-.", parts, strict=True))
        table.add_row(pipe, *cells, marks)
    report.console.print(table)
    left_out = dict.fromkeys(pipe.rpartition(" ")[0] for pipe in launch["pipes"] if pipe not in _shown(launch))
    for core in left_out:
        report.say(f"  {core} does the same as the vector core before it")


def _critical(report: Report, launch: dict[str, Any]) -> None:
    table = _table(report, "critical path: what the time is made of", "pipe", "cycles", "of all", "", words=1)
    for step in launch["critical_path"]:
        table.add_row(step["pipe"], f"{step['cycles']:.0f}", f"{step['cycles'] / launch['cycles']:.1%}", step["means"])
    if table.row_count:
        report.console.print(table)


def _causes(report: Report, launch: dict[str, Any]) -> None:
    total = launch["cycles"] or 1.0
    table = _table(report, "what they wait for", "pipe", "stalled", "of all", "cause", "where", words=2)
    kinds = {}
    for pipe in _shown(launch):
        causes = launch["pipes"][pipe]["causes"]
        for cause in causes[:CAUSES_SHOWN]:
            kinds[cause["kind"]] = cause["means"]
            table.add_row(pipe, f"{cause['cycles']:.0f}", f"{cause['cycles'] / total:.1%}", *_cause(cause))
        rest = sum(cause["cycles"] for cause in causes[CAUSES_SHOWN:])
        if rest:
            table.add_row(pipe, f"{rest:.0f}", f"{rest / total:.1%}", f"others ({len(causes) - CAUSES_SHOWN})", "")
    if not table.row_count:
        return
    report.console.print(table)
    for kind, means in kinds.items():
        report.say(f"  {kind}: {means}")


def _cause(cause: dict[str, Any]) -> tuple[str, str]:
    if cause["kind"] == "flag":
        return (
            f"flag {cause['source']} -> {cause['waiting']} event {cause['event']}",
            f"set {cause['set_line']}, wait {cause['line']}",
        )
    return f"barrier {cause['pipe']}" if cause["kind"] == "barrier" else cause["kind"], "" if cause[
        "kind"
    ] == "program" else cause["line"]


def _lines(report: Report, launch: dict[str, Any]) -> None:
    cores = _cores(launch)
    figures = "busy + stalled" if len(cores) == 1 else "busy, by core"
    title = f"costliest source lines (cycles on the critical path; {figures})"
    columns = _shown(launch) if len(cores) == 1 else list(cores)
    table = _table(report, title, "line", "critical", *columns, "source", words=1)
    for line in launch["lines"]:
        cells = []
        for name in columns:
            if len(cores) > 1:
                busy = sum(line["busy"][pipe] for pipe in cores[name])
                cells.append(f"{busy:.0f}" if round(busy) else "-")
                continue
            busy, stalled = line["busy"][name], line["stalled"][name]
            cells.append(f"{busy:.0f}+{stalled:.0f}" if round(busy) or round(stalled) else "-")
        table.add_row(line["line"], f"{line['critical']:.0f}", *cells, _short(line["text"]))
    if table.row_count:
        report.console.print(table)


def _cores(launch: dict[str, Any]) -> dict[str, list[str]]:
    """The pipes of each core, by the core's name; that of a core in no group is empty."""
    cores: dict[str, list[str]] = {}
    for pipe in launch["pipes"]:
        cores.setdefault(pipe.rpartition(" ")[0], []).append(pipe)
    return cores


def _shown(launch: dict[str, Any]) -> list[str]:
    """The pipes, without those of a core that does the same as the one before it."""
    shown: list[str] = []
    before: list[dict] = []
    for pipes in _cores(launch).values():
        own = [
            (pipe.rpartition(" ")[2], *(launch["pipes"][pipe][name] for name in ("busy", "stalled", "idle_at_end")))
            for pipe in pipes
        ]
        if own != before:
            shown += pipes
        before = own
    return shown


def _short(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."


def _buffers(report: Report, buffer: dict[str, Any]) -> None:
    peak, capacity, live = (buffer[name] / 1024 for name in ("peak_bytes", "capacity_bytes", "most_live_bytes"))
    title = f"unified buffer: {peak:.1f} of {capacity:.0f} KiB planned"
    if buffer["buffers"]:
        title += f", at most {live:.1f} KiB live at once"
    table = _table(
        report, title, "address", "KiB", f"live, of {buffer['cycles']:.0f} cycles", "first written by", words=2
    )
    for one in buffer["buffers"]:
        size = f"{one['bytes'] / 1024:.2f}"
        table.add_row(
            f"{one['address']}", size, _spans(one["live"], buffer["cycles"]), _short(f"{one['line']}  {one['text']}")
        )
    if table.row_count:
        report.console.print(table)


def _spans(live: list[list[float]], cycles: float) -> str:
    """Time from left to right, marked where something in the buffer is still needed."""
    marks = ["."] * MAP
    for first, last in live:
        for column in range(int(first / cycles * MAP), min(MAP, int(last / cycles * MAP) + 1)):
            marks[column] = "#"
    return "".join(marks)


def _hazards(report: Report, hazards: list[str] | None) -> None:
    if hazards is None:
        return
    report.say("\n  hazards: " + (f"{len(hazards)}" if hazards else "none found"))
    for hazard in hazards:
        report.say(f"    {hazard}")


def _findings(report: Report, findings: list[dict[str, Any]], unchecked: list[str]) -> None:
    """Named findings; their price is what the launch would be shorter by."""
    report.say("\nfindings: " + ("simulated prices, as if it were not there" if findings else "none"))
    for one in findings:
        price = "a compilation for every size"
        if one["cycles"] is not None:
            price = f"{one['cycles']:.0f} cycles, {one['us']:.2f} us, {one['share']:.1%} of all"
        report.say(f"  {one['code']} at {one['file']}:{one['line']}: {price}")
        report.say(f"    {_short(one['text'])}")
        report.say(f"    why: {one['reason']}")
        report.say(f"    try: {one['help']}")
    for code in unchecked:
        report.say(f"  {code} was not looked for: nothing says which dimension is the batch")
