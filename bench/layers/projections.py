"""The linear layers of the models that are compared, and batches of rows for them."""

import random
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate


@dataclass(frozen=True)
class Projection:
    """Linear maps of one input that LoRA adapts together.

    Args:
        name: As in the model.
        hidden: Input size.
        widths: Output size of each slice.
    """

    name: str
    hidden: int
    widths: tuple[int, ...]

    @property
    def outputs(self) -> int:
        return sum(self.widths)

    @property
    def starts(self) -> tuple[int, ...]:
        """Where each slice starts."""
        return (0, *accumulate(self.widths[:-1]))


@dataclass(frozen=True)
class Model:
    """Sizes of a decoder.

    Args:
        layers, hidden, inner: Number of layers, size of the residual stream and of the feed-forward network.
        keys: Size of the keys, and of the values.
        vocabulary: Logits of a row.
        tied: Whether the output embedding is the input's.
    """

    name: str
    layers: int
    hidden: int
    inner: int
    keys: int
    vocabulary: int
    tied: bool = False

    @property
    def projections(self) -> tuple[Projection, ...]:
        """What LoRA adapts in a layer, all its linear maps."""
        return (
            Projection("qkv", self.hidden, (self.hidden, self.keys, self.keys)),
            Projection("o", self.hidden, (self.hidden,)),
            Projection("gate_up", self.hidden, (self.inner, self.inner)),
            Projection("down", self.inner, (self.hidden,)),
        )

    @property
    def base_bytes(self) -> int:
        """Bytes of fp16 weights that a decode step reads: the linear maps of all layers and the output embedding."""
        layer = sum(projection.hidden * projection.outputs for projection in self.projections)
        return 2 * (self.layers * layer + self.hidden * self.vocabulary)


MODELS = {
    model.name: model
    for model in (
        Model("Llama-2-7B", 32, 4096, 11008, 4096, 32000),
        Model("Llama-2-13B", 40, 5120, 13824, 5120, 32000),
        Model("Llama-3-8B", 32, 4096, 14336, 1024, 128256),
        Model("Qwen2.5-7B", 28, 3584, 18944, 512, 151936),
        Model("SmolLM2-135M", 30, 576, 1536, 192, 49152, tied=True),
    )
}
"""From the models' published configurations (``config.json``). Qwen2.5-7B pads its 151936 tokens to 152064 logits."""
ADAPTERS = ("distinct", "equal", "zipf")
"""Of the rows of a decode step."""
PROMPT = "prompt"
"""Of the rows of a prefill."""


@dataclass(frozen=True)
class Batch:
    """Rows of a decode step, or of a prompt.

    Args:
        rows: How many.
        adapters: ``distinct``: each row with an adapter has its own; ``equal``: all share one; ``zipf``: drawn with
            probability 1/n for the n-th, from a fixed seed; ``prompt``: the rows are tokens of a prompt, which has one.
        half: Whether the second half are base rows, as in CoLD's doubled batch.
    """

    rows: int
    adapters: str = "distinct"
    half: bool = False

    def __post_init__(self) -> None:
        if self.rows < 1 or self.adapters not in (*ADAPTERS, PROMPT):
            known = ", ".join((*ADAPTERS, PROMPT))
            raise ValueError(f"{self}: rows must be 1 or more, and adapters one of {known}")

    @property
    def prompt(self) -> bool:
        """Whether the rows are a prompt's."""
        return self.adapters == PROMPT

    @property
    def active(self) -> int:
        """Rows with an adapter; the first ones."""
        return (self.rows + 1) // 2 if self.half else self.rows

    @cached_property
    def slots(self) -> tuple[int, ...]:
        """Each row's adapter, -1 for base rows."""
        if self.adapters == "distinct":
            used = list(range(self.active))
        elif self.adapters in ("equal", PROMPT):
            used = [0] * self.active
        else:
            draw = random.Random(0).choices(
                range(self.active), [1 / (n + 1) for n in range(self.active)], k=self.active
            )
            names = {slot: name for name, slot in enumerate(dict.fromkeys(draw))}
            used = [names[slot] for slot in draw]
        return (*used, *[-1] * (self.rows - self.active))

    @property
    def words(self) -> str:
        """The rows in the language of `cold_kernels.cases.Case`."""
        return f"T={self.rows} L={max(self.slots) + 1} idx={'/'.join(map(str, self.slots))}"

    def __str__(self) -> str:
        return f"{self.rows} rows, {self.adapters}{', half base' if self.half else ''}"
