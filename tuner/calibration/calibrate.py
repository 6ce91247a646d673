"""From a device's times to a chip file: the constants fitted, and how well ranks agree before and after.

Keys of ``--json``: ``device``, ``evidence`` (``measured``, or ``stand-in``: simulated), ``chip`` (the file written),
``constants`` (of each ``nominal``, ``value``, ``error`` as a share of it, ``status``: seen, unseen, held, insisted),
``misfit`` (median and worst of measured over simulated or the reverse, less 1, ``before`` and ``after``), ``ranking``
(of each ``case`` its ``configurations``, ``kendall_tau`` and ``top5_recall`` before and after), ``left_out`` (rows,
with the reason).
"""

from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cold_kernels.ascend.chips import CHIPS, CONSTANTS, Chip, write_chip
from cold_kernels.ascend.errors import AscendError, ToolchainMissing
from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.tables import source_digest

from ..search.evaluate import Evaluator
from .fit import Agreement, Seen, fit, kendall_tau, recall
from .jobs import spec_named
from .results import read

LEAST_MICROS = 12
"""Fewer micro-benchmarks do not tell the constants apart."""
LEAST_RANKED, TOP = 5, 5


def calibrated(file: Path, out: Path | None, chip: str | None, machine_for: Any) -> dict:
    """Fit, write the chip file and rank; the report of ``--json``.

    Raises:
        ValueError: the file is not one of a device, its chip is unknown, or too little of it can be used.
        OSError: the chip file cannot be written.
        ToolchainMissing: the compiler is not installed.
    """
    results = read(file)
    name = chip or results.about["chip"]
    if name not in CHIPS:
        raise ValueError(f"{file}: no chip is called {name!r}; give --chip, one of {', '.join(CHIPS)}")
    machine = machine_for(name)
    seen, left_out = simulated(results, machine)
    micros = [one for one in seen if one.kind == "micro"]
    if len(micros) < LEAST_MICROS:
        why = "".join(f"; {row['row']}: {row['reason']}" for row in left_out[:3])
        raise ValueError(f"{file} has {len(micros)} micro-benchmarks that can be used, too few to fit to{why}")
    made = fit(micros, machine.chip)
    new = replace(machine.chip, constants=made.values)
    about = {key: results.about[key] for key in ("device", "evidence", "versions", "date")}
    path = out or file.with_suffix(".chip.json")
    write_chip(path, new, {**about, "errors": made.errors, "status": made.status})
    configurations = [one for one in seen if one.kind != "micro"]
    return {
        **about,
        "chip": str(path),
        "base": name,
        "constants": {
            constant: {
                "nominal": machine.chip.constants[constant],
                "value": float(f"{value:.5g}"),
                "error": round(made.errors[constant], 4),
                "status": made.status[constant],
            }
            for constant, value in made.values.items()
        },
        "misfit": {
            what: {"before": misfit(rows, machine.chip), "after": misfit(rows, new)}
            for what, rows in (("micro-benchmarks", micros), ("configurations", configurations))
            if rows
        },
        "ranking": [asdict(ranking) for ranking in rankings(configurations, machine.chip, new)],
        "left_out": left_out,
    }


def simulated(results: Any, machine: Any) -> tuple[list, list[dict]]:
    """The rows that can be compared, as `fit.Seen`, and those that cannot, with the reason."""
    evaluators: dict[str, Evaluator] = {}
    seen, left_out = [], []
    for row in results.rows.values():
        name = row["kernel"]
        try:
            if "us" not in row:
                raise ValueError(row.get("failure", "it was begun and never ended"))
            if name not in evaluators:
                evaluators[name] = Evaluator(spec_named(name), machine)
            spec = evaluators[name].spec
            if results.about["sources"].get(name) != source_digest(spec):
                raise ValueError("it was measured with another source of the kernel")
            if set(row["config"]) != set(spec.space):
                raise ValueError(f"its tunables are not {', '.join(spec.space)}")
            timed = evaluators[name].timed(Record(row["config"]), Case.parse(row["case"], spec))
        except ToolchainMissing:
            raise
        except (ValueError, AscendError) as error:
            left_out.append({"row": f"{name} {row['case']}", "reason": " ".join(str(error).split())[:200]})
            continue
        seen.append(Seen(row["kind"], f"{name} {row['case']}", timed, row["us"], row["spread"]))
    return seen, left_out


def misfit(rows: Iterable, chip: Chip) -> dict[str, float]:
    """Median and worst of how far measured is from simulated, as a share of the smaller of the two."""
    off = sorted(max(one.us / us, us / one.us) - 1 for one in rows for us in [one.timed.on(chip)])
    return {"median": round(off[len(off) // 2], 4), "worst": round(off[-1], 4)}


def rankings(rows: Iterable, before: Chip, after: Chip) -> list:
    """Rank agreement on each case with `LEAST_RANKED` configurations or more."""
    cases: dict[str, list] = {}
    for one in rows:
        cases.setdefault(one.name, []).append(one)
    found = []
    for case, same in cases.items():
        if len(same) < LEAST_RANKED:
            continue
        truth = [one.us for one in same]
        guesses = [[one.timed.on(chip) for one in same] for chip in (before, after)]
        tau = [round(kendall_tau(guess, truth), 4) for guess in guesses]
        top = [recall(guess, truth, TOP) for guess in guesses]
        found.append(Agreement(case, len(same), dict(before=tau[0], after=tau[1]), dict(before=top[0], after=top[1])))
    return found


WORDS = {
    "seen": "",
    "unseen": "not seen by these benchmarks",
    "held": "held at its interval's end",
    "insisted": "OUTSIDE its interval, the data insist",
}


def text(found: dict) -> str:
    """The report for a terminal."""
    kind = "measured" if found["evidence"] == "measured" else "SIMULATED by a stand-in; nothing was measured"
    lines = [f"{found['device']}, {found['date']}: {kind}", ""]
    lines.append(f"{'constant':<16} {'nominal':>9} {'interval':>15} {'fitted':>9} {'error':>7}")
    for name, one in found["constants"].items():
        interval = f"{CONSTANTS[name].low:g} to {CONSTANTS[name].high:g}"
        figures = f"{one['nominal']:>9.4g} {interval:>15} {one['value']:>9.4g} {one['error']:>7.1%}"
        lines.append(f"{name:<16} {figures}  {CONSTANTS[name].unit:<8} {WORDS[one['status']]}".rstrip())
    lines.append("")
    for what, off in found["misfit"].items():
        shown = (f"{off[when]['median']:.1%} (worst {off[when]['worst']:.1%})" for when in ("before", "after"))
        lines.append(f"{what}: simulated is off by a median of {' before and '.join(shown)} after")
    for one in found["ranking"]:
        tau, top = one["kendall_tau"], one["top5_recall"]
        lines.append(
            f"{one['case']}, {one['configurations']} configurations: Kendall tau {tau['before']:.2f} before and "
            f"{tau['after']:.2f} after, top-5 recall {top['before']:.1f} and {top['after']:.1f}"
        )
    if not found["ranking"]:
        lines.append(f"no case has {LEAST_RANKED} configurations, so nothing is ranked")
    lines += [f"left out: {row['row']}: {row['reason']}" for row in found["left_out"]]
    return "\n".join([*lines, f"wrote {found['chip']}"])
