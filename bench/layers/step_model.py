"""What a decode step takes by its parts: greedy, CoLD with every amateur in every step, CoLD with amateurs that lag.

An optimistic step goes on with the expert's favourite. An amateur is asked where more than one token passes the mask;
all that it has not seen by then rides in the next pass as one chunk, for which its KV cache is read once. Where
contrast wanted another token, one is taken back, and that request's step is repeated.
"""

from dataclasses import dataclass

from .projections import Batch, Model

GREEDY, EAGER, OPTIMISTIC = KINDS = ("greedy", "CoLD eager", "CoLD optimistic")
CARD = 64 << 30
"""Bytes of global memory of Ascend910B3 (``memory.CARDS``)."""
FP16 = 2


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
class DecodeStep:
    """A token of every request, its parts in microseconds on the nominal chip, by what a launch costs whatever it does.

    Args:
        base_us: The base model's matrix products, by the bytes of their weights; no launches.
        lora_us: All layers' LoRA, without what launches cost whatever they do, with the start of their cores.
        launches: Of all layers.
        choice_us, choices: The same of the contrastive choice, and its launches; none for greedy.
        kv_us: Keys and values that the experts' rows read, by their bytes.
        amateur_kv_us: Those that the amateurs read for a token, by their bytes.
        passes: For a token: above 1 where tokens are taken back.
        held: Bytes of weights, adapters and KV caches.
    """

    base_us: float
    lora_us: float
    launches: int
    choice_us: float = 0.0
    choices: int = 0
    kv_us: float = 0.0
    amateur_kv_us: float = 0.0
    passes: float = 1.0
    held: int = 0

    def us(self, launch_us: float) -> float:
        launched = (self.launches + self.choices) * launch_us
        whole = self.base_us + self.lora_us + self.choice_us + self.kv_us + launched
        return self.passes * whole + self.amateur_kv_us

    @property
    def fits(self) -> bool:
        """Whether a card holds it."""
        return self.held <= CARD


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
