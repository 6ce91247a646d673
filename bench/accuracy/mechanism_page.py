"""The mechanism study as Markdown, from its stored outcomes."""

from typing import NamedTuple

import numpy as np

from decoding.evaluation.intervals import Interval, bootstrap, paired

from .outcomes import unpack

SHARE = 0.8
"""Of the tuned setting's gain, what a rule should reach."""
HARM = 0.005
"""How much less accurate than greedy decoding no rule may be, in any regime."""
DEFAULT = "alpha 0.1, fixed 0.5"
"""The setting that `Request` has by default, as results name it."""


class Row(NamedTuple):
    """A method in a regime. Accuracies are shares; wins and losses are of all pairs, against greedy."""

    name: str
    accuracy: Interval
    gain: Interval
    short: Interval
    won: float
    lost: float


def rows(study: dict, regime: str) -> list[Row]:
    """All methods of a regime, in the order of the page; `Row.short` is the gain less `SHARE` of the tuned one's."""
    solved = _solved(study, regime)
    greedy, tuned = solved["greedy"].astype(float), solved["tuned"].astype(float)
    measures = []
    for each in solved.values():
        measures += [each, each - greedy, each - greedy - SHARE * (tuned - greedy)]
    found = bootstrap(np.stack(measures), shared=False)
    table = []
    for place, (name, each) in enumerate(solved.items()):
        counts = paired(solved["greedy"], each)
        table.append(Row(name, *found[3 * place : 3 * place + 3], counts.wins / each.size, counts.losses / each.size))
    return table


def markdown(study: dict) -> str:
    """The tables of all regimes and what they say about each rule."""
    tables = {regime: {row.name: row for row in rows(study, regime)} for regime in study["regimes"]}
    settings = study["settings"]
    parts = [
        f"{settings['bases']} bases a regime, {settings['adapters']} adapters each, {settings['problems']} test "
        f"problems an adapter; settings chosen on {settings['validation']} others of each. Seed {settings['seed']}; "
        + ", ".join(f"{name} {number}" for name, number in study["versions"].items())
        + ". Intervals hold 95 % of 2000 bootstrap samples of bases, adapters and problems. Gain is over greedy LoRA, "
        "in points. *Won*, *lost*: problems that the method solves and greedy does not, and the reverse, in per cent."
    ]
    for regime, table in tables.items():
        parts.append(f"**The base {_WORDS[regime]}** ({settings['adapter_steps'][regime]} steps of LoRA)")
        lines = ["| method | right, % | gain, points | won | lost |", "| --- | --- | --- | --- | --- |"]
        for name, row in table.items():
            gain = "" if name == "greedy" else _points(row.gain, "+.1f")
            wins = ["", ""] if name == "greedy" else [f"{100 * each:.1f}" for each in (row.won, row.lost)]
            lines.append(f"| {_name(study, name)} | {_points(row.accuracy, '.1f')} | {gain} | {' | '.join(wins)} |")
        parts.append("\n".join(lines))
    parts.append(_settings(study))
    parts.append(_verdicts(study, tables))
    return "\n\n".join(parts)


_WORDS = {"opposes": "opposes the task", "mixed": "mixes both meanings", "agrees": "agrees with the task"}
_NAMES = {
    "base": "base alone",
    "greedy": "greedy LoRA",
    "tuned": "CoLD, alpha and beta chosen for each adapter",
    "scaled": "adapter scaled, factor chosen for each adapter",
    "beams": "beam search, 4 beams",
}


def verdict(study: dict, tables: dict[str, dict[str, Row]], name: str) -> tuple[str, str]:
    """Whether a method is harmless in every regime, and whether it reaches its share where the tuned setting gains.

    Returns:
        Two answers: "yes", "no" or "undecided".
    """
    harms = [_decide(table[name].gain.low >= -HARM, table[name].gain.high < -HARM) for table in tables.values()]
    gaining = [table for table in tables.values() if table["tuned"].gain.low > 0]
    shares = [_decide(table[name].short.low >= 0, table[name].short.high < 0) for table in gaining]
    return _all(harms), _all(shares)


def _decide(yes: bool, no: bool) -> str:
    return "yes" if yes else "no" if no else "undecided"


def _all(answers: list[str]) -> str:
    return next((answer for answer in ("no", "undecided") if answer in answers), "yes" if answers else "undecided")


def _verdicts(study: dict, tables: dict[str, dict[str, Row]]) -> str:
    gaining = [regime for regime, table in tables.items() if table["tuned"].gain.low > 0]
    lines = [
        f"Tuned for each adapter, CoLD gains for certain where the base {_listed([_WORDS[each] for each in gaining])}."
        if gaining
        else "Tuned for each adapter, CoLD gains for certain in no regime.",
        "",
        f"| one setting for all | loses at most {100 * HARM:g} points in every regime | "
        f"at least {100 * SHARE:.0f} % of the tuned gain where there is one |",
        "| --- | --- | --- |",
    ]
    names = [DEFAULT, *dict.fromkeys(row["rule"] for row in study["rules"]), "scaled", "beams"]
    for name in dict.fromkeys(names):
        lines.append(f"| {_name(study, name)} | {' | '.join(verdict(study, tables, name))} |")
    return "\n".join(lines)


def _settings(study: dict) -> str:
    chosen = {regime: [each["tuned"] for base in bases for each in base] for regime, bases in study["regimes"].items()}
    lines = ["What was chosen for the adapters, on their validation problems:", ""]
    for regime, names in chosen.items():
        counts = sorted({name: names.count(name) for name in names}.items(), key=lambda pair: (-pair[1], pair[0]))
        lines.append(f"- {regime}: " + ", ".join(f"{name} ({count})" for name, count in counts))
    return "\n".join(lines)


def _solved(study: dict, regime: str) -> dict[str, np.ndarray]:
    """Of each method ``[bases, adapters, problems]``, bool."""
    bases, count = study["regimes"][regime], study["settings"]["problems"]
    order = [
        "base",
        "greedy",
        "tuned",
        DEFAULT,
        "scaled",
        "beams",
        *(row["rule"] for row in study["rules"]),
    ]
    return {
        name: np.array([[unpack(each["solved"][name], count) for each in base] for base in bases])
        for name in dict.fromkeys(order)
    }


def _name(study: dict, name: str) -> str:
    families = [row["family"] for row in study["rules"] if row["rule"] == name]
    if name in _NAMES:
        return _NAMES[name]
    default = ["CoLD, the default"] if name == DEFAULT else []
    return f"{', '.join(default + families)}: {name}"


def _points(interval: Interval, form: str) -> str:
    mean, low, high = (format(100 * value, form) for value in interval)
    return f"{mean} ({low} to {high})"


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
