"""The operators put under PEFT's mixed batches of one model, and taken back."""

import weakref
from typing import Any

import peft
import torch
from peft.tuners.lora.layer import Linear, LoraLayer
from torch import nn

from ...layers.siblings import siblings
from .layers import ADAPTED, Adapted, Family
from .own_path import left_to_peft

TESTED = ("0.19.1", "0.20.0", "0.21.0", "0.21.1", "0.21.2")
"""Versions of PEFT that the tests run with. What is replaced is no public interface of it."""

_models: "weakref.WeakSet[nn.Module]" = weakref.WeakSet()


class Attached:
    """A model whose mixed batches the operators compute; as a context manager, until its end.

    Attributes:
        model: The model that was given.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def __enter__(self) -> nn.Module:
        return self.model

    def __exit__(self, *error: object) -> None:
        detach(self.model)

    def left_to_peft(self) -> list[str]:
        """What of the adapters PEFT computes itself even so, and why: a line for each."""
        return [f"{name}: {why}" for name, why in left_to_peft(self.model)]


def attach(model: nn.Module) -> Attached:
    """Have the operators compute LoRA where a pass is given ``adapter_names``; all other passes stay as they are.

    Rows are grouped by adapter once for a pass. Layers that share an input (q, k, v; gate, up) share one shrink on a
    device, where matrices are stacked once; on the CPU they share the grouped rows, and no matrix is copied. Adapters
    that are loaded, deleted, trained, scaled, cast or moved later are followed, but for a write through ``.data`` on a
    device, which leaves no trace there: attach again after one. What the operators do not honour is computed by PEFT as
    before, for the whole layer: DoRA and other variants, biases, dropout in training mode, wanted gradients, autocast,
    what a compiler traces, hooks on the matrices' modules, inputs of a type that the adapter's does not hold, and
    layers other than ``torch.nn.Linear`` and ``Conv1D`` (`Attached.left_to_peft` lists them). Merged adapters are
    PEFT's own error. Layers that get their first adapter later are PEFT's too, until the model is attached again.

    Sums are in float32 and rounded once, where PEFT rounds each product to the adapter's type: in half precision the
    last bits may differ from its.

    Args:
        model: A ``PeftModel``, or a model with PEFT's LoRA layers.

    Returns:
        What ``with`` takes: ``with attach(model): …``. Without it, `detach` undoes it.

    Raises:
        RuntimeError: another version of PEFT than `TESTED`.
        ValueError: no layers that could be adapted, or a model that is attached already.
    """
    if peft.__version__ not in TESTED:
        raise RuntimeError(f"peft is {peft.__version__}; mixed batches are tested with {', '.join(TESTED)} alone")
    layers = _layers(model)
    if not layers:
        raise ValueError(f"model is a {type(model).__name__} in which PEFT's LoRA adapts no Linear or Conv1D")
    attached = next((name for name, layer in layers.items() if layer.__dict__.get(ADAPTED) is not None), None)
    if attached is not None:
        raise ValueError(f"model is attached already, in {attached}; call detach(model) first")
    for names in siblings(layers):
        family = Family({name: layers[name] for name in names})
        for name in names:
            layers[name].__dict__[ADAPTED] = Adapted(family)
    Linear._mixed_batch_forward = _mixed_batch_forward
    _models.add(model)
    return Attached(model)


def detach(model: nn.Module) -> None:
    """Give a model's mixed batches back to PEFT; does nothing where `attach` was not called."""
    for layer in _layers(model).values():
        layer.__dict__.pop(ADAPTED, None)
    _models.discard(model)
    if not _models and "_mixed_batch_forward" in vars(Linear):
        del Linear._mixed_batch_forward


def _layers(model: Any) -> dict[str, Linear]:
    if not isinstance(model, nn.Module):
        raise ValueError(f"model is a {type(model).__name__}; give a PeftModel")
    return {name: module for name, module in model.named_modules() if type(module) is Linear}


def _mixed_batch_forward(
    self: Linear, x: torch.Tensor, *args: Any, adapter_names: list[str], **kwargs: Any
) -> torch.Tensor:
    """In place of `LoraLayer._mixed_batch_forward`, which follows where the operators do not act."""
    adapted = self.__dict__.get(ADAPTED)
    acting = None if adapted is None else adapted.tokens(self, x, adapter_names)
    if acting is None:
        return LoraLayer._mixed_batch_forward(self, x, *args, adapter_names=adapter_names, **kwargs)
    plan, tokens = acting
    kwargs.pop("alora_offsets", None)  # of a variant, and none is here
    output = self.base_layer(x, *args, **kwargs)
    if tokens is None:
        return output
    if type(output) is not torch.Tensor or output.shape != (*x.shape[:-1], self.out_features):
        found = list(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise RuntimeError(f"a layer under PEFT's returns {found} for {list(x.shape)}; call detach(model)")
    return plan.group.add(plan.place, x, output.contiguous(), tokens)
