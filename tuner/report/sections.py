"""What a report shows of one search."""

from collections import Counter
from collections.abc import Mapping

import optuna

from cold_kernels.ascend.chips import chip_named
from cold_kernels.ascend.errors import AscendError
from cold_kernels.ascend.machine import ascend_machine
from cold_kernels.cases import Case
from cold_kernels.spec import KernelSpec

from ..profile.picture import draw_into, height
from ..profile.profiled import of_spec
from ..search.trial import in_a_line
from . import plots
from .page import Section
from .studies import Search, Tried

FEWEST = 8
"""Usable trials from which importance is told."""
SIMULATED = "Times are SIMULATED (HIVM level), device time; nothing was measured on an NPU."


def sections(search: Search, spec: KernelSpec | None, timelines: bool = True) -> list[Section]:
    """The parts of a report, in order.

    Args:
        spec: The kernel that was searched, which floors and timelines need; None: it is not at hand.
        timelines: Whether default and best are compiled and simulated once more, for a picture.
    """
    found = [summary(search)]
    if not search.usable:
        return [*found, failures(search), trials(search)]
    found += [gains(search, floors(search, spec) if spec else {}), convergence(search)]
    if plots.tunables_of(search):
        found += [importance(search), slices(search)]
    if len(search.cases) > 1:
        found.append(regret(search))
    found.append(failures(search))
    if spec and timelines:
        found.append(timeline(search, spec))
    return [*found, trials(search)]


def summary(search: Search) -> Section:
    """What was searched, and what came of it."""
    notes = search.study.user_attrs
    best, default = search.best, search.default
    spent = [trial.seconds for trial in search.trials if trial.seconds is not None]
    rows = [
        ("kernel", search.kernel),
        ("chip", search.chip),
        ("compiler", " ".join(f"{name} {version}" for name, version in notes.get("versions", {}).items())),
        ("trials", f"{len(search.trials)} over, {search.running} running, {len(search.usable)} usable"),
        ("time in trials", f"{sum(spent):.0f} s, {max(spent):.1f} s the longest" if spent else "not known"),
        ("best over all cases", f"{best.config}: {best.value:.2f} us, trial {best.number + 1}" if best else "none"),
        ("default", f"{default.config}: {default.value:.2f} us" if default else "does not work"),
    ]
    if best and default:
        rows.append(("gain", f"{default.value / best.value:.2f} times as fast as the default"))
    return Section(search.title, SIMULATED, None, 0, ("", ""), rows)


def floors(search: Search, spec: KernelSpec) -> dict[str, float]:
    """By case the microseconds of the bytes that must move, at the bandwidth that all cores reach."""
    chip, found = chip_named(search.chip), {}
    for text in search.cases:
        tensors = Case.parse(text, spec).tensors(spec, blank=True)
        found[text] = spec.minimal_bytes(**tensors) / chip.hbm_bytes_per_second * 1e6
    return found


def gains(search: Search, floors: Mapping[str, float]) -> Section:
    """Best against default and floor, case by case."""
    rows = []
    for case in search.cases:
        best, default = search.best_for(case), search.default
        us = f"{default.us[case]:.2f}" if default else "-"
        gain = f"{default.us[case] / best.us[case]:.2f}" if default else "-"
        floor = f"{floors[case]:.2f}" if case in floors else "-"
        rows.append((case, us, f"{best.us[case]:.2f}", gain, floor, best.config))
    note = f"{SIMULATED} The best of a case may differ from what a table takes, which must share what shapes sums"
    note += " and win on plausible chips." + ("" if floors else " Without the kernel at hand floors are not known.")
    header = ("case", "default us", "best us", "gain", "floor us", "configuration")
    return Section("Best against default and floor", note, lambda figure: plots.gains(figure, search, floors),
                   1.2 + 0.4 * len(search.cases), header, rows)  # fmt: skip


def convergence(search: Search) -> Section:
    """How soon the best was found."""
    rows, best = [], None
    for trial in search.usable:
        if best is None or trial.value < best:
            best = trial.value
            rows.append((trial.number + 1, f"{best:.2f}", trial.config))
    note = f"{SIMULATED} Geometric mean over the cases. The first trial is the default."
    return Section("Convergence", note, lambda figure: plots.convergence(figure, search), 3.2,
                   ("trial", "us", "configuration"), rows)  # fmt: skip


def importance(search: Search) -> Section:
    """How much each tunable matters."""
    title = "Importance of the tunables"
    if len(search.usable) < FEWEST:
        return Section(title, f"Told from {FEWEST} usable trials on; here are {len(search.usable)}.", None, 0, (), [])
    shares = optuna.importance.get_param_importances(search.study)
    note = "By Optuna's PED-ANOVA over the usable trials, normed to 1. It says what mattered among what was tried."
    rows = [(name, f"{share:.2f}") for name, share in shares.items()]
    return Section(title, note, lambda figure: plots.importance(figure, shares), 1 + 0.35 * len(shares),
                   ("tunable", "share"), rows)  # fmt: skip


def slices(search: Search) -> Section:
    """Each tunable by itself."""
    names = plots.tunables_of(search)
    rows = []
    for name in names:
        for value in plots.values_of(search, name):
            times = [trial.value for trial in search.usable if trial.config[name] == value]
            rows.append((name, value, len(times), f"{min(times):.2f}"))
    note = f"{SIMULATED} A dot is a usable trial, the line joins the best of each value."
    return Section("Slices", note, lambda figure: plots.slices(figure, search), 2.6 * -(-len(names) // plots.COLUMNS),
                   ("tunable", "value", "usable trials", "best us"), rows)  # fmt: skip


def regret(search: Search) -> Section:
    """What the best configuration of one case costs in another one."""
    bests = [search.best_for(case) for case in search.cases]
    table = [
        [mine.us[case] / best.us[case] - 1 for case, best in zip(search.cases, bests, strict=True)] for mine in bests
    ]
    rows = [
        (case, mine.config, f"{100 * max(costs):.1f} %", search.cases[costs.index(max(costs))])
        for case, mine, costs in zip(search.cases, bests, table, strict=True)
    ]
    note = f"{SIMULATED} Each row is the best configuration of a case, each column what it costs there."
    return Section("Regret across cases", note, lambda figure: plots.regret(figure, search.cases, table),
                   1.4 + 0.35 * len(bests), ("case", "its best", "costs at most", "on"), rows)  # fmt: skip


def failures(search: Search) -> Section:
    """Why trials failed, the commonest reason first."""
    kinds = Counter(trial.failure.partition(":")[0] for trial in search.trials if trial.failure)
    rows = []
    for kind, count in kinds.most_common():
        first = next(trial for trial in search.trials if trial.failure.partition(":")[0] == kind)
        rows.append((kind, count, first.config, in_a_line(first.failure)))
    note = f"{sum(kinds.values())} of {len(search.trials)} trials cannot be used." if kinds else "No trial failed."
    return Section("Why trials failed", note, None, 0, ("it", "trials", "the first of them", "why"), rows)


def timeline(search: Search, spec: KernelSpec) -> Section:
    """Default and best on the last case, which is the largest, pipe by pipe."""
    title, case = "Timelines of default and best", search.cases[-1]
    chosen = {"default": search.default, "best of this case": search.best_for(case)}
    try:
        machine = ascend_machine(search.chip)
        kernels = [
            of_spec(spec, Case.parse(case, spec), machine, trial.config, name)
            for name, trial in chosen.items()
            if trial and (name == "default" or trial is not search.default)
        ]
        for kernel in kernels:
            assert kernel.launches
    except AscendError as error:
        return Section(title, f"Not drawn: {str(error).splitlines()[0]}", None, 0, (), [])
    rows = [(kernel.reason, kernel.config, f"{_us(kernel):.2f}") for kernel in kernels]
    note = f"{SIMULATED} {case}, compiled and simulated once more for this page."
    return Section(title, note, lambda figure: draw_into(figure, kernels), height(kernels),
                   ("", "configuration", "us"), rows)  # fmt: skip


def trials(search: Search) -> Section:
    """All of them."""
    rows = [(trial.number + 1, trial.config, _time(trial), trial.rung, _took(trial), in_a_line(trial.failure))
            for trial in search.trials]  # fmt: skip
    note = f"{SIMULATED} In the order of the search."
    return Section("All trials", note, None, 0, ("trial", "configuration", "us", "reached", "took", "why not"), rows)


def _us(kernel) -> float:
    return sum(launch.simulation.microseconds for launch in kernel.launches)


def _time(trial: Tried) -> str:
    return f"{trial.value:.2f}" if trial.us else "-"


def _took(trial: Tried) -> str:
    return "-" if trial.seconds is None else f"{trial.seconds:.1f} s"
