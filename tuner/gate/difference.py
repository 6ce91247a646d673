"""How facts differ from those that were accepted."""

from collections.abc import Iterator, Mapping
from typing import Any

CYCLES = "simulated cycles"


def difference(before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str:
    """What differs between the accepted facts of a case and those of now, a line a fact; "" if nothing does.

    None stands for a case that has no facts.
    """
    if before is None or now is None:
        return "" if before is now else f"the case is {'not accepted yet' if before is None else 'counted no longer'}"
    old, new = dict(_flat(before)), dict(_flat(now))
    lines = [
        (name, _text(old.get(name)), _text(new.get(name)), _percent(old.get(name), new.get(name)))
        for name in old | new
        if old.get(name) != new.get(name)
    ]
    if not lines:
        return ""
    lines.insert(0, ("what", "accepted", "now", "change"))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        f"  {name:<{widths[0]}}  {a:>{widths[1]}}  {b:>{widths[2]}}  {c:>{widths[3]}}".rstrip()
        for name, a, b, c in lines
    )


def _flat(facts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}, ")
        else:
            yield above + name, value


def _text(value: Any) -> str:
    return "-" if value is None else str(value)


def _percent(before: Any, now: Any) -> str:
    if isinstance(before, str | None) or isinstance(now, str | None):
        return ""
    return f"{100 * (now / before - 1):+.1f} %" if before else "from 0"
