"""What a decode step takes by its parts: greedy, CoLD with every amateur in every step, CoLD with amateurs that lag.

An optimistic step goes on with the expert's favourite. An amateur is asked where more than one token passes the mask;
all that it has not seen by then rides in the next pass as one chunk, for which its KV cache is read once. Where
contrast wanted another token, one is taken back, and that request's step is repeated.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cold_kernels.ascend import host_clock
from cold_kernels.ascend.host_clock import TORCH

from .projections import Batch, Model

GREEDY, EAGER, OPTIMISTIC = KINDS = ("greedy", "CoLD eager", "CoLD optimistic")
CARD = 64 << 30
"""Bytes of global memory of Ascend910B3 (``memory.CARDS``)."""
FP16 = 2
BASE, LORA, KV, CHOICE = "base", "lora", "kv", "choice"
"""What a launch of a pass is for."""


@dataclass(frozen=True)
class Contest:
    """How often contrast matters.

    Args:
        contested: Share of a request's steps in which more than one token passes the mask. 0.15: measured on
            SmolLM2-135M with a LoRA adapter at alpha 0.1, where it was 0.10 to 0.16.
        taken_back: Share of all steps in which contrast chooses another token than the expert: 0.02 there.

    Raises:
        ValueError: a share is not within 0 and 1, or more is taken back than contested.
    """

    contested: float = 0.15
    taken_back: float = 0.02

    def __post_init__(self) -> None:
        if not 0 <= self.contested <= 1:
            raise ValueError(f"contested {self.contested}: it must be a share, from 0 to 1")
        if not 0 <= self.taken_back <= self.contested:
            raise ValueError(
                f"taken back {self.taken_back}: it must be from 0 to {self.contested}, the share of contested steps"
            )


@dataclass(frozen=True)
class PassLaunch:
    """A launch of a pass.

    Args:
        part: `BASE`, `LORA`, `KV` or `CHOICE`.
        launcher: What launches it, a key of `host_clock.ENQUEUE_US`.
        device_us: Its device time in microseconds.
    """

    part: str
    launcher: str
    device_us: float


@dataclass(frozen=True)
class DecodeStep:
    """A token of every request on the nominal chip, on both clocks.

    The base model's matrix products, an operator each, take the time of their weights' bytes, and the attention of a
    layer, one operator, that of the keys and values that it reads; without what launching costs them on the device.

    Args:
        layer: What a layer launches, in order.
        layers: How many there are, one after the other.
        end: What is launched after them.
        amateur_kv_us: Keys and values that the amateurs read for a token, by their bytes; beside those in ``layer``.
        passes: For a token: above 1 where tokens are taken back.
        held: Bytes of weights, adapters and KV caches.
    """

    layer: tuple[PassLaunch, ...]
    layers: int
    end: tuple[PassLaunch, ...]
    amateur_kv_us: float = 0.0
    passes: float = 1.0
    held: int = 0

    def part_us(self, part: str) -> float:
        """Device time of a part in one pass, in microseconds."""
        of_layer, of_end = (
            sum(launch.device_us for launch in launches if launch.part == part) for launches in (self.layer, self.end)
        )
        return self.layers * of_layer + of_end

    def launches(self, part: str) -> int:
        """Launches of a part in one pass."""
        of_layer, of_end = (sum(launch.part == part for launch in launches) for launches in (self.layer, self.end))
        return self.layers * of_layer + of_end

    @property
    def device_us(self) -> float:
        """Device time: what replayed graphs take, if nothing passes between their launches."""
        return self.passes * sum(map(self.part_us, (BASE, LORA, KV, CHOICE))) + self.amateur_kv_us

    def enqueued_us(self, enqueue: Mapping[str, float]) -> float:
        """The same with host enqueue, as `host_clock.enqueued_us` has it: eager mode.

        A pass begins with an empty queue, since its rows are chosen by the one before; the amateurs' keys and values
        are read by its attention.
        """
        return self.passes * host_clock.enqueued_us(self._pass(), enqueue)

    def _pass(self) -> Iterator[tuple[str, float]]:
        kv_launches = self.launches(KV)
        amateurs = self.amateur_kv_us / self.passes / kv_launches if kv_launches else 0.0
        for launch in (*self.layer * self.layers, *self.end):
            yield launch.launcher, launch.device_us + (amateurs if launch.part == KV else 0.0)

    @property
    def fits(self) -> bool:
        """Whether a card holds it."""
        return self.held <= CARD


def layer_launches(
    base_us: Sequence[float], lora: Sequence[Sequence[tuple[str, float]]], kv_us: float
) -> tuple[PassLaunch, ...]:
    """What a layer launches: of each projection the base product and its LoRA; attention after the first.

    Args:
        base_us: Device time of each projection's base product.
        lora: Of each projection what a scheme launches: what launches it and its device time.
        kv_us: Device time of the layer's attention.
    """
    made = []
    for place, (product_us, added) in enumerate(zip(base_us, lora, strict=True)):
        made.append(PassLaunch(BASE, TORCH, product_us))
        made += [PassLaunch(LORA, launcher, us) for launcher, us in added]
        if place == 0:
            made.append(PassLaunch(KV, TORCH, kv_us))
    return tuple(made)


def batch_of(kind: str, requests: int, adapters: str) -> Batch:
    """Rows of a pass: one a request, or one with the adapter and one without.

    Where amateurs lag they come in chunks, and on the mean a pass has as many of their tokens as experts' tokens. That
    says a little too much: few passes with many base rows cost less than one base row in every pass.
    """
    return Batch(requests, adapters) if kind == GREEDY else Batch(2 * requests, adapters, half=True)


def kv_bytes(model: Model, context: int) -> int:
    """Bytes of a row's keys and values in fp16, which a token reads."""
    return 2 * FP16 * model.layers * model.keys * context


def kv_reads(kind: str, contest: Contest) -> tuple[float, float]:
    """How often a request's expert reads its cache in a pass, and its amateur for a token."""
    return 1.0, {GREEDY: 0.0, EAGER: 1.0, OPTIMISTIC: contest.contested}[kind]


def passes(kind: str, contest: Contest) -> float:
    """For a token of a request."""
    return 1.0 + contest.taken_back if kind == OPTIMISTIC else 1.0


def held_bytes(kind: str, model: Model, rank: int, batch: Batch, context: int) -> int:
    """Bytes of fp16 weights, of the batch's adapters and of a KV cache for each expert and amateur."""
    embedding = 0 if model.tied else FP16 * model.hidden * model.vocabulary
    maps = sum(len(each.widths) * each.hidden + each.outputs for each in model.projections)
    adapters = FP16 * (max(batch.slots) + 1) * model.layers * rank * maps
    return model.base_bytes + embedding + adapters + batch.rows * kv_bytes(model, context)
