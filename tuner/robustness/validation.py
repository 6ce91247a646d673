"""The model against device times that others published.

Keys of ``--json``: ``rows`` (of each ``name``, ``kernel``, ``chip``, ``programs``, ``clock``, ``weight``, ``judged``,
``predicted_us``, ``published_us``, ``ratio`` predicted over published, ``within`` the goal of a single row, ``cube``
whether it has the goal of the cube core's rows, ``source``, ``explanation``), ``kernels`` (of each ``rows``,
``median_error``, ``least`` and ``most`` ratio, ``tau`` and ``pairs``), ``left_out`` (name and reason), ``goal``
(``judged`` rows, ``median_error``, the shares ``within_25`` and ``within_50``, ``out_of_order`` kernels, of the
``cube`` core's rows their number, ``median_error``, how many are ``within_30`` and whether that is ``met``, and what
was asked), ``met``; with ``--falsify`` also ``rankings`` (`tuner.robustness.ranking`), ``one_core_per_token``
(milliseconds a token) and of each row ``plausible_us``, the least and the most on the 32 plausible chips. Predicted
times are simulated, published ones were measured by others. Rows count by their ``weight``; those on another clock than
the device's, or of another compiler's program, are shown and not judged.
"""

import itertools
import statistics

from cold_kernels.ascend.chips import DEFAULT_CHIP
from cold_kernels.ascend.machine import ascend_machine
from cold_kernels.bgmv.shrink import bgmv_shrink
from cold_kernels.fidelity.anchor import anchor
from cold_kernels.fidelity.published import LEFT_OUT, ROWS
from cold_kernels.fidelity.ranked import row_norm, short_rows

from .ranking import rank

CUBE_MEDIAN, CUBE_WITHIN, CUBE_SHARE = 0.15, 0.30, 10 / 12
"""Goal of the cube core's rows: the median error, and the error within which so many of them are."""
MEDIAN, MOST_WITHIN, SHARE, BEYOND = 0.10, 0.25, 0.9, 0.5
"""Goal: the median error, the error within which the share of rows is, and the one that no row exceeds."""
TAU = 0.95
"""Goal: Kendall's tau of a kernel's rows."""
APART = 1.1
"""Published times whose ratio is less are not asked to be in order."""
CASES = (
    (bgmv_shrink, "T=16 L=4 H=4096 R=16 idx=half"),
    (bgmv_shrink, "T=32 L=4 H=4096 R=64"),
    (row_norm, "T=896 N=512 dtype=fp16"),
    (short_rows, "T=4096 N=32 dtype=fp16"),
)
CONFIGURATIONS = 128


def rows(chips: int) -> list[dict]:
    """Every published row beside the model's time, also on so many plausible chips."""
    found = []
    for row in ROWS:
        run = row.simulated()
        about = dict(name=row.name, kernel=row.kernel.name, chip=row.chip, programs=row.programs, clock=row.clock.value)
        about |= dict(weight=row.weight, judged=row.comparable, source=row.source, explanation=row.explanation)
        about["cube"] = row.cube
        if chips:
            times = [row.predicted_us(run.on(chip)) for chip in run.chip.plausible(chips)]
            about["plausible_us"] = [round(min(times), 2), round(max(times), 2)]
        found.append(compared(row.predicted_us(run), row.published_us, **about))
    return found


def compared(predicted_us: float, published_us: float, **more) -> dict:
    """A row of the report."""
    ratio = predicted_us / published_us
    return {
        **more,
        "predicted_us": round(predicted_us, 2),
        "published_us": published_us,
        "ratio": round(ratio, 3),
        "within": error(ratio) <= MOST_WITHIN,
    }


def error(ratio: float) -> float:
    """By how much a ratio of two times is off: the greater over the less, less 1."""
    return max(ratio, 1 / ratio) - 1


def in_order(rows: list[dict]) -> tuple[float, int]:
    """Kendall's tau of a kernel's predicted and published times, over the pairs whose published times are apart."""
    agree = pairs = 0
    for one, other in itertools.combinations(sorted(rows, key=lambda row: row["published_us"]), 2):
        if other["published_us"] >= APART * one["published_us"]:
            pairs += 1
            agree += 1 if other["predicted_us"] > one["predicted_us"] else -1
    return (agree / pairs if pairs else 1.0), pairs


def by_kernel(rows: list[dict]) -> dict[str, dict]:
    """Of each kernel its rows' errors and order."""
    kernels = {}
    for name in dict.fromkeys(row["kernel"] for row in rows):
        own = [row for row in rows if row["kernel"] == name]
        tau, pairs = in_order(own)
        ratios = [row["ratio"] for row in own]
        kernels[name] = dict(
            rows=len(own), median_error=round(statistics.median(map(error, ratios)), 3), least=min(ratios),
            most=max(ratios), tau=round(tau, 3), pairs=pairs,
        )  # fmt: skip
    return kernels


def _share(errors: list[tuple[float, float]], most: float) -> float:
    """The share of the weight that is within ``most``."""
    return sum(weight for one, weight in errors if one <= most) / sum(weight for _, weight in errors)


def _median(errors: list[tuple[float, float]]) -> float:
    """The least error within which half of the weight is."""
    return next(one for one, _ in sorted(errors) if _share(errors, one) >= 0.5)


def judged(rows: list[dict]) -> dict:
    """The rows, and whether those on the device's clock are near enough and in order, each counting by its weight."""
    asked = [row for row in rows if row["judged"]]
    errors = [(error(row["ratio"]), row["weight"]) for row in asked]
    kernels = by_kernel(rows)
    own = by_kernel(asked)
    goal = {
        "judged": len(asked),
        "rows": len(rows),
        "median_error": round(_median(errors), 4),
        "within_25": round(_share(errors, MOST_WITHIN), 4),
        "within_50": round(_share(errors, BEYOND), 4),
        "out_of_order": [name for name, kernel in own.items() if kernel["tau"] < TAU],
        "cube": of_cube(rows),
        "asked": {"median_error": MEDIAN, "within_25": SHARE, "within_50": 1.0, "tau": TAU},
    }
    met = goal["median_error"] <= MEDIAN and goal["within_25"] >= SHARE and goal["within_50"] == 1
    met = met and not goal["out_of_order"] and goal["cube"]["met"]
    return {"rows": rows, "kernels": kernels, "left_out": LEFT_OUT, "goal": goal, "met": met}


def of_cube(rows: list[dict]) -> dict:
    """The cube core's rows: on another clock than the device's, and so with a goal of their own."""
    errors = [error(row["ratio"]) for row in rows if row["cube"]]
    if not errors:
        return {"rows": 0, "median_error": 0.0, "within_30": 0, "met": True}
    median, within = statistics.median(errors), sum(one <= CUBE_WITHIN for one in errors)
    met = median <= CUBE_MEDIAN and within >= CUBE_SHARE * len(errors)
    return {"rows": len(errors), "median_error": round(median, 4), "within_30": within, "met": met}


def falsified() -> dict:
    """What could show that simulated tuning is worth nothing: ranks on plausible chips, and a scheme's known cost."""
    machine = ascend_machine(DEFAULT_CHIP)
    rankings = [rank(spec, case, machine, CONFIGURATIONS).summary() | {"kernel": spec.name} for spec, case in CASES]
    found = anchor()
    figures = {
        "simulated_ms": round(found.simulated_ms, 2),
        "of_that_launches_ms": round(found.launch_ms, 2),
        "launches": found.launches,
        "megabytes": round(found.bytes_moved / 1e6, 1),
        "reported_ms": round(found.reported_ms, 2),
        "ratio": round(found.ratio, 2),
        "source": found.source,
    }
    return {"rankings": rankings, "one_core_per_token": figures}


def text(found: dict) -> str:
    """The report for a terminal, Markdown."""
    goal = found["goal"]
    lines = ["| published kernel | programs | predicted us (simulated) | published us (measured) | ratio |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for row in found["rows"]:
        mark = "" if row["within"] else " (miss)" if row["judged"] else " (not judged)"
        low, high = row.get("plausible_us", (None, None))
        spread = f" ({low:.0f} to {high:.0f})" if low else ""
        figures = f"{row['predicted_us']:.1f}{spread} | {row['published_us']:.1f} | {row['ratio']:.2f}{mark}"
        lines.append(f"| {row['name']} | {row['programs']} | {figures} |")
    lines += ["", "| kernel | rows | median error | ratios | tau (pairs apart) |", "| --- | --- | --- | --- | --- |"]
    for name, one in found["kernels"].items():
        ratios = f"{one['least']:.2f} to {one['most']:.2f}"
        lines.append(
            f"| {name} | {one['rows']} | {one['median_error']:.0%} | {ratios} | {one['tau']} ({one['pairs']}) |"
        )
    lines.append("")
    lines.append(
        f"{goal['judged']} of {goal['rows']} rows are on the device's clock: median error {goal['median_error']:.1%} "
        f"(goal {MEDIAN:.0%}), within {MOST_WITHIN:.0%}: {goal['within_25']:.1%} (goal {SHARE:.0%}), within a "
        f"factor of {1 + BEYOND}: {goal['within_50']:.1%} (goal all); goal {'met' if found['met'] else 'not met'}."
    )
    cube = goal["cube"]
    lines.append(
        f"Of {cube['rows']} rows of the cube core: median error {cube['median_error']:.1%} (goal {CUBE_MEDIAN:.0%}), "
        f"{cube['within_30']} within {CUBE_WITHIN:.0%} (goal {CUBE_SHARE * cube['rows']:.0f}); goal "
        f"{'met' if cube['met'] else 'not met'}."
    )
    for name in goal["out_of_order"]:
        lines.append(f"Rows of {name} are not in their order (Kendall's tau below {TAU}).")
    for ranking in found.get("rankings", ()):
        lines.append(
            f"{ranking['kernel']} {ranking['case']}, {ranking['compiled']} configurations: the best is among the best "
            f"five on {ranking['in_top']} of {ranking['chips']} plausible chips and the best on {ranking['first']}; "
            f"regret median {ranking['regret_median']:.1%}, worst {ranking['regret_worst']:.1%}; without the launch "
            f"{ranking['net_regret_median']:.1%} and {ranking['net_regret_worst']:.1%}; slowest over fastest "
            f"{ranking['spread']:.2f}; {ranking['rivals']} others within 2 %."
        )
    if one := found.get("one_core_per_token"):
        lines.append(
            f"One core per token: {one['simulated_ms']} ms a token simulated ({one['of_that_launches_ms']} ms of it "
            f"{one['launches']} launches), {one['reported_ms']:.1f} ms reported; ratio {one['ratio']}."
        )
    return "\n".join(lines)
