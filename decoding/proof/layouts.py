"""In which order linear layers are given a pass's tokens, seen by hooks while passes run."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import nn

from .agreement import relative_distance

Layout = Literal["rows", "tokens", "kept"]
"""What a layer is called on: ``[R, T, h]``; any other shape that holds the R * T vectors in the same order; vectors of
those tokens alone whose logits are kept."""
MISPLACED = 0.25
"""Of the distance between tokens: beyond it, an input is another token's."""
Inputs = Mapping[str, Sequence[torch.Tensor | None]]


class Watch:
    """A context in which the inputs of layers are kept, as this thread's passes call them.

    Args:
        model: Whose layers these are.
        names: Of the layers.
    """

    def __init__(self, model: nn.Module, names: Iterable[str]) -> None:
        self._layers = {name: model.get_submodule(name) for name in names}
        self._inputs: dict[str, list[torch.Tensor | None]] = {}
        self._thread = threading.get_ident()
        self._handles: list = []

    def __enter__(self) -> "Watch":
        self._handles = [
            layer.register_forward_hook(lambda _, args, output, name=name: self._keep(name, args, output))
            for name, layer in self._layers.items()
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def taken(self) -> Inputs:
        """Each layer's inputs, call by call, since this was asked last; None for a call that is no linear layer's."""
        inputs, self._inputs = self._inputs, {}
        return {name: inputs.get(name, []) for name in self._layers}

    def _keep(self, name: str, args: tuple, output: object) -> None:
        if threading.get_ident() == self._thread:
            x = args[0].detach() if args else None
            plain = x is not None and isinstance(output, torch.Tensor) and output.shape[:-1] == x.shape[:-1]
            self._inputs.setdefault(name, []).append(x.clone() if plain else None)


def proven_layouts(
    together: Inputs, alone: Sequence[Inputs], tokens: int
) -> tuple[dict[str, tuple[Layout, ...]], dict[str, str]]:
    """The layouts of layers that are given every row's tokens in order, and why the other layers cannot be adapted.

    Args:
        together: Inputs in a pass of two rows of as many ``tokens``, whose last logits were kept.
        alone: Inputs in a pass of each row.
    """
    layouts: dict[str, tuple[Layout, ...]] = {}
    refused: dict[str, str] = {}
    distances: list[tuple[str, torch.Tensor]] = []
    for name, inputs in together.items():
        first, second = (row[name] for row in alone)
        if not inputs and not first and not second:
            refused[name] = "is not called in a pass of tokens (or was bypassed, as by torch.compile)"
        elif not len(inputs) == len(first) == len(second):
            refused[name] = "is called for only some of the tokens"
        else:
            calls = [_layout(x, [a, b], tokens) for x, a, b in zip(inputs, first, second)]
            wrong = next((call for call in calls if call not in get_args(Layout)), None)
            if wrong is not None:
                refused[name] = wrong
                continue
            layouts[name] = tuple(calls)
            for x, a, b in zip(inputs, first, second):
                distances.append((name, relative_distance(_flat(x), torch.cat([_flat(a), _flat(b)]))))
    if distances:
        for (name, _), distance in zip(distances, torch.stack([distance for _, distance in distances]).tolist()):
            if not distance <= MISPLACED:
                layouts.pop(name, None)
                refused[name] = "is given its tokens in another order, or inputs that mix the rows"
    return layouts, refused


def _layout(x: torch.Tensor | None, alone: Sequence[torch.Tensor | None], tokens: int) -> str:
    """The layout that the shapes tell, or what is wrong with them."""
    if x is None or any(row is None for row in alone):
        return "does not map one tensor to one tensor (it is a router, or is given its input by keyword)"
    counts = [row.numel() // row.shape[-1] for row in alone]
    shape = tuple(x.shape[:-1])
    if counts[0] != counts[1] or counts[0] not in (tokens, 1):
        return f"is given {counts[0]} vectors for {tokens} tokens, so only some of the tokens or parts of them"
    if shape == (2, counts[0]):
        return "rows" if counts[0] == tokens else "kept"
    if shape[-2:] == (counts[0], 2):
        return f"is given its tokens in another order (shape {list(x.shape)} for 2 rows of {tokens} tokens)"
    if x.numel() != 2 * alone[0].numel():
        return f"is given {shape} vectors for 2 rows of {tokens} tokens"
    return "tokens" if counts[0] == tokens else "kept"


def _flat(x: torch.Tensor) -> torch.Tensor:
    return x.reshape(-1, x.shape[-1])
