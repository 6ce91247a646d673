"""Shipped configurations that another one beats when global memory is half as fast, or a launch costs twice as much.

Keys of ``report --fragile --json``: ``evidence``; ``chips``; ``entries``, how many were looked at; ``changes``, what
each means; ``rivals``, which other configurations were timed; ``flips``: of each ``chip``, ``kernel``, ``case``,
``config``, ``change``, ``us``, ``rival``, ``rival_us`` and ``loss``, by how much the rival is faster as a share of its
time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cold_kernels import tables
from cold_kernels.ascend.chips import CONSTANTS, Chip
from cold_kernels.ascend.errors import CompilationFailed, UnsupportedProgram
from cold_kernels.ascend.machine import Machine
from cold_kernels.record import Record
from cold_kernels.spec import KernelSpec

from ..search.evaluate import Evaluator
from ..search.warm_start import case_of
from ..search.winner import TIE

L2_RATIO = "l2_ratio"
RIVALS = "the default, and what is shipped of the same kernel for other shapes and chips"
EVIDENCE = "simulated; nothing was measured on an NPU"


def half_bandwidth(chip: Chip) -> Chip:
    """Global memory at half its rate; the second-level cache keeps its own."""
    constants = {name: 2 * value if name == L2_RATIO else value for name, value in chip.constants.items()}
    return replace(chip, hbm_peak=chip.hbm_peak / 2, constants=constants)


def double_launch(chip: Chip) -> Chip:
    """Twice the time around a program: what a launch costs, and what each core adds."""
    around = {name for name, constant in CONSTANTS.items() if constant.unit == "us"}
    return replace(chip, constants={name: (1 + (name in around)) * us for name, us in chip.constants.items()})


AS_IT_IS = "nothing changes"
CHANGES: dict[str, Callable[[Chip], Chip]] = {
    AS_IT_IS: lambda chip: chip,
    "half the global bandwidth": half_bandwidth,
    "twice the launch floor": double_launch,
}


@dataclass(frozen=True)
class Flip:
    """An entry that a rival beats by more than a tie (`winner.TIE`); times in simulated microseconds."""

    chip: str
    kernel: str
    case: str
    config: str
    change: str
    us: float
    rival: str
    rival_us: float
    loss: float


def fragile(
    specs: Sequence[KernelSpec], chips: Sequence[str], machine_for: Callable[[str], Machine], folder: Path
) -> dict:
    """The report of ``--fragile`` on the tables in ``folder``, with the keys of ``--json``.

    Raises:
        ToolchainMissing: the compiler is not installed.
    """
    flips: list[Flip] = []
    count = 0
    for chip in chips:
        machine = machine_for(chip)
        for spec in specs:
            known = dict.fromkeys(entry.config for name in chips for entry in entries(spec, name, folder))
            evaluator = Evaluator(spec, machine)
            for entry in entries(spec, chip, folder):
                count += 1
                flips += _flips(evaluator, entry, list(known))
    flips.sort(key=lambda flip: (flip.change == AS_IT_IS, -flip.loss))
    return {
        "evidence": EVIDENCE,
        "chips": list(chips),
        "entries": count,
        "changes": {name: (change.__doc__ or "the chip as it is").split("\n")[0] for name, change in CHANGES.items()},
        "rivals": RIVALS,
        "flips": [asdict(flip) for flip in flips],
    }


def entries(spec: KernelSpec, chip: str, folder: Path) -> Iterator[tables.Entry]:
    """The entries of a kernel's table for a chip; none if there is no table."""
    for table, _ in tables.read(spec, chip, (folder,)):
        yield from table.entries


def _flips(evaluator: Evaluator, entry: tables.Entry, known: list[Record]) -> Iterator[Flip]:
    spec, nominal = evaluator.spec, evaluator.machine.chip
    case = case_of(spec, entry)
    shape = case.shape()
    rivals = dict.fromkeys([entry.config, spec.default_for(shape), *known])
    times = {}
    for config in rivals:
        if not spec.allows(config, shape):
            continue
        try:
            timed = evaluator.timed(config, case)
        except UnsupportedProgram:
            continue
        except CompilationFailed as error:
            if not error.deterministic:
                raise
            continue
        times[config] = {name: timed.on(change(nominal)) for name, change in CHANGES.items()}
    if entry.config not in times:
        raise ValueError(f"{spec.name} {case}: the shipped {entry.config} does not compile any more; tune again")
    for name in CHANGES:
        best = min(times, key=lambda config: times[config][name])
        us, rival_us = times[entry.config][name], times[best][name]
        if us > rival_us * (1 + TIE):
            figures = round(us, 4), str(best), round(rival_us, 4), round(us / rival_us - 1, 4)
            yield Flip(nominal.name, spec.name, str(case), str(entry.config), name, *figures)


def text(found: dict) -> str:
    """The report for a terminal; an entry that loses as it is is listed there alone."""
    lines = [f"SIMULATED device time; nothing was measured. Rivals: {found['rivals']}."]
    already = {_entry(flip) for flip in found["flips"] if flip["change"] == AS_IT_IS}
    for change in CHANGES:
        flips = [flip for flip in found["flips"] if flip["change"] == change]
        if change != AS_IT_IS:
            flips = [flip for flip in flips if _entry(flip) not in already]
        what = "lose already" if change == AS_IT_IS else "flip"
        lines.append(f"{change}: {len(flips)} of {found['entries']} entries {what}")
        for flip in flips:
            lines.append(
                f"  {flip['chip']} {flip['kernel']} {flip['case'].replace(' index=int64', '')}: {flip['config']} "
                f"{flip['us']:.2f} us, {flip['loss']:.1%} more than {flip['rival']} ({flip['rival_us']:.2f} us)"
            )
    return "\n".join(lines)


def _entry(flip: dict) -> tuple[str, ...]:
    return flip["chip"], flip["kernel"], flip["case"]
