"""Decode steps put together from known layers and choices, by every scheme, on both clocks; modelled."""

from collections.abc import Callable, Sequence

from cold_kernels.ascend.host_clock import TORCH, enqueue_us
from cold_kernels.command import CommandFailed

from .cases import LAYERS, LayerCase
from .choice_cases import CHOICES, ChoiceCase
from .goals import OURS, schemes
from .projections import Model
from .step_model import (
    BASE,
    CHOICE,
    EAGER,
    FP16,
    GREEDY,
    KINDS,
    Contest,
    DecodeStep,
    PassLaunch,
    batch_of,
    held_bytes,
    kv_bytes,
    kv_reads,
    layer_launches,
    passes,
)
from .stored_cells import CellStore, to_stderr

CHIP = "Ascend910B3"
CLOCKS: dict[str, Callable[[DecodeStep], float]] = {
    "device time": lambda step: step.device_us,
    "with host enqueue": lambda step: step.enqueued_us(enqueue_us()),
}
"""Microseconds of a step on each clock."""
Steps = dict[tuple[str, int, int, int], dict[tuple[str, str], DecodeStep]]
"""By model, rank, requests and context: by decoding, one of `KINDS`, and LoRA scheme."""


def steps(
    models: Sequence[Model],
    ranks: Sequence[int],
    requests: Sequence[int],
    adapters: str,
    contexts: Sequence[int],
    contest: Contest,
    known: Callable[[CellStore, list], dict],
) -> Steps:
    """The steps.

    Args:
        known: `counted`, by which what is not known yet is counted, or `on_disk`.

    Raises:
        AscendError: a scheme does not compile; `ToolchainMissing` without a compiler.
    """
    wanted = {
        (model, rank, count, kind): LayerCase(CHIP, model.name, rank, batch_of(kind, count, adapters))
        for model in models
        for rank in ranks
        for count in requests
        for kind in KINDS
    }
    cells = list(dict.fromkeys(wanted.values()))
    chosen = list(dict.fromkeys(ChoiceCase(CHIP, model.vocabulary, count) for model in models for count in requests))
    found, choices = known(LAYERS, cells), known(CHOICES, chosen)
    made: Steps = {}
    for (model, rank, count, kind), cell in wanted.items():
        products = [bytes_us(FP16 * each.hidden * each.outputs) for each in model.projections]
        end = [PassLaunch(BASE, TORCH, bytes_us(FP16 * model.hidden * model.vocabulary))]
        if kind != GREEDY:
            choice = choices[ChoiceCase(CHIP, model.vocabulary, count)]
            end += [PassLaunch(CHOICE, launcher, us) for launcher, us in choice["launches"]]
        for context in contexts:
            once = bytes_us(count * kv_bytes(model, context))
            expert, amateur = (reads * once for reads in kv_reads(kind, contest))
            rest = amateur, passes(kind, contest), held_bytes(kind, model, rank, cell.batch, context)
            for scheme, part in schemes(found[cell]).items():
                layer = layer_launches(products, part["launches"], expert / model.layers)
                step = DecodeStep(layer, model.layers, tuple(end), *rest)
                made.setdefault((model.name, rank, count, context), {})[kind, scheme] = step
    return made


def counted(store: CellStore, cells: list) -> dict:
    """What was found of the cells; what is not known yet is counted."""
    return store.known(cells, to_stderr(cells))


def on_disk(store: CellStore, cells: list) -> dict:
    """What was found of the cells, with no compiler.

    Raises:
        CommandFailed: one of them is not known.
    """
    latest = store.latest()
    for cell in cells:
        if cell not in latest:
            raise CommandFailed(f"{cell} is not known yet; the same command without --markdown counts it")
    return latest


def bytes_us(count: float) -> float:
    """Time of so many bytes at the bandwidth of global memory."""
    from cold_kernels.ascend.chips import chip_named

    return count / chip_named(CHIP).hbm_bytes_per_second * 1e6


def clocks() -> str:
    """Both clocks in words."""
    host = enqueue_us()
    return (
        "Device time: a replayed graph, if nothing passes between its launches. With host enqueue: eager mode, where "
        f"the host pays {host['triton']:g} us for a launch of Triton's and {host['torch']:g} us for an operator; the "
        "base model's products and attention are an operator each, and a layer's other operators are not counted."
    )


def mark(step: DecodeStep) -> str:
    """A star where no card holds it."""
    return "*" * (not step.fits)


def change(each: dict[tuple[str, str], DecodeStep], scheme: str, clock: str, kind: str = EAGER) -> float:
    """Latency of CoLD by our kernels over that of greedy decoding by a scheme, less 1, on one of `CLOCKS`."""
    us = CLOCKS[clock]
    return us(each[kind, OURS]) / us(each[GREEDY, scheme]) - 1


def by_rank(found: Steps) -> dict[tuple[str, int], dict[tuple[int, int], dict]]:
    """By model and rank: by requests and context."""
    groups: dict = {}
    for (model, rank, *case), each in found.items():
        groups.setdefault((model, rank), {})[tuple(case)] = each
    return groups
