"""One forward pass as adapted layers see it: whose tokens each is given, and whether each acted on all of them."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from cold_kernels.layers.tokens import Tokens

ROWS, TOKENS, KEPT = "rows", "tokens", "kept"
"""How a layer is given the tokens of a pass: ``[R, T, h]``; ``[R * T, h]``, row by row, or in another shape as has been
proven; those alone whose logits are kept, in one of these shapes."""
BYPASS = "torch.compile, a captured graph, a fused or merged layer, or a copy runs in its place"


@dataclass(eq=False)
class Place:
    """Where an adapted layer stands, and how it is called in a pass.

    Args:
        name: What messages call it.
        index: Its number among all adapted layers.
        module, parent, own: The module, the module that holds it, and its name there.
        calls: The layout of each call of a pass, as proven; None if nothing is: one call of either layout.
        keeps: Whether it may be given the kept tokens alone, as a model's head is.
    """

    name: str
    index: int
    module: nn.Module
    parent: nn.Module
    own: str
    calls: Sequence[str] | None
    keeps: bool

    def __post_init__(self) -> None:
        self.most = 1 if self.calls is None else len(self.calls)

    def check(self) -> None:
        """Raise RuntimeError if another module stands there by now."""
        found = self.parent._modules.get(self.own)
        if found is not self.module:
            there = "none" if found is None else f"a {type(found).__name__}"
            raise RuntimeError(
                f"{self.name} was replaced after the adapters were attached: there is {there} now, "
                "which they do not act on; make a new ContrastiveLoRA"
            )


class Given(Tokens):
    """Tokens that a layer is given, in one of the layouts."""

    def __init__(self, layout: str, slots: torch.Tensor) -> None:
        super().__init__(slots)
        self.layout = layout


class Pass:
    """A forward pass of R rows of T tokens, and the calls that adapted layers have had in it.

    Args:
        slots: Each token's slot, row by row, ``[R * T]`` int64.
        shape: R and T.
        logits_to_keep: As the model is given it: how many last tokens of each row, 0 for all, or a tensor of places
            within each row.

    Raises:
        ValueError: slots of another number of tokens; places that are all of a row's, in another order.
    """

    def __init__(
        self, places: Sequence[Place], slots: torch.Tensor, shape: tuple[int, int], logits_to_keep: int | torch.Tensor
    ) -> None:
        rows, tokens = self.shape = shape
        if slots.shape != (rows * tokens,):
            raise ValueError(f"slots has shape {list(slots.shape)}; {rows} rows of {tokens} tokens have one a token")
        self._places, self._slots, self._keep = places, slots, logits_to_keep
        self._calls = [0] * len(places)
        self._given = {(rows, tokens): Given(ROWS, slots), (rows * tokens,): Given(TOKENS, slots)}

    def given(self, place: Place, shape: tuple[int, ...]) -> Given:
        """The tokens that a layer is given, whose input has this shape without its last dimension.

        Raises:
            RuntimeError: not all of the pass's tokens once, in an order that is known.
        """
        rows, tokens = self.shape
        found = (self._kept if place.keeps else self._given).get(shape)
        if found is None and TOKENS in (place.calls or ()) and math.prod(shape) == rows * tokens:
            found = self._given[rows * tokens,]
        if found is None:
            raise RuntimeError(
                f"{place.name} is given tokens of shape {list(shape)} in a pass of {rows} rows of {tokens} tokens: a "
                "part of them, or another order; whose they are is not known, so that it cannot be adapted"
            )
        return found

    def count(self, place: Place, tokens: Given) -> None:
        """Note that a layer is called with these tokens.

        Raises:
            RuntimeError: a call too many, or another than was proven.
        """
        done = self._calls[place.index]
        if done >= place.most:
            raise RuntimeError(
                f"{place.name} is called {done + 1} times in a forward pass, not {place.most}, so that its adapter "
                "would act too often: the layer is used again, or a copy of it"
            )
        if place.calls is not None and tokens.layout != place.calls[done] and not place.keeps:
            raise RuntimeError(
                f"{place.name} is given its tokens as {tokens.layout}, and was given them as {place.calls[done]} when "
                "the adapters were attached; make a new ContrastiveLoRA"
            )
        self._calls[place.index] = done + 1

    def check(self) -> None:
        """Raise RuntimeError unless each layer has had all of its calls."""
        for place, done in zip(self._places, self._calls, strict=True):
            if done != place.most:
                raise RuntimeError(
                    f"{place.name} was called {done} times in a forward pass, not {place.most}, so that its adapter "
                    f"did not act: {BYPASS}; undo that, and make a new ContrastiveLoRA"
                )

    @functools.cached_property
    def _kept(self) -> dict[tuple[int, ...], Given]:
        """As `_given`, with the kept tokens alone in both shapes."""
        (rows, tokens), keep = self.shape, self._keep
        by_row = self._slots.view(rows, tokens)
        if isinstance(keep, torch.Tensor):
            if len(keep) == tokens > 1 and not torch.equal(keep, torch.arange(tokens, device=keep.device)):
                raise ValueError(f"logits_to_keep has the {tokens} tokens of a row in another order, or some twice")
            by_row = by_row[:, keep]
        else:
            by_row = by_row[:, -keep:]
        kept = Given(KEPT, by_row.reshape(-1))
        return {**self._given, tuple(by_row.shape): kept, (by_row.numel(),): kept}
