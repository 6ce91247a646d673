"""The base model under PEFT's layers, and the adapters in them, both from memory."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from .adapter import check_config
from .sources import InMemory


def holds_peft(model: Any) -> bool:
    """Whether ``model`` is PEFT's or has layers of PEFT's, as after transformers' own ``load_adapter``."""
    return isinstance(model, nn.Module) and any(map(_is_peft, model.modules()))


class PeftBase:
    """A model with PEFT layers, and beside it the same model without them.

    ``bare`` has modules of its own, each with the very parameters of the other's, and base layers where the other has
    PEFT's. Nothing is put into the model that was given: whoever calls it, or chooses, adds and trains adapters in it,
    does so undisturbed.

    Args:
        given: A ``PeftModel``, or a model of transformers' with PEFT layers.

    Attributes:
        model: The model of transformers', with PEFT's layers in it.
        bare: Without them.

    Raises:
        ValueError: adapters that cannot be honoured, or a model that cannot be taken apart.
    """

    def __init__(self, given: nn.Module) -> None:
        configs = getattr(given, "peft_config", {})
        for name, config in configs.items():
            check_config(f"adapter {name!r}", config.to_dict())
        self.model = given.get_base_model() if hasattr(given, "get_base_model") else given
        if not isinstance(self.model, PreTrainedModel):
            raise ValueError(f"model is a {type(given).__name__}; give a PeftModel over a causal language model")
        self._layers = {name: layer for name, layer in self.model.named_modules() if hasattr(layer, "get_base_layer")}
        self.check()
        self.bare = _bare(self.model)
        self._pairs = list(zip(_without_peft(self.model), _without_peft(self.bare), strict=True))
        self.adapters = {name: self._adapter(given, name) for name in configs}

    def check(self) -> None:
        """Raise ValueError where an adapter is in the base weights."""
        for name, layer in self._layers.items():
            if layer.merged_adapters:
                merged = ", ".join(map(repr, layer.merged_adapters))
                raise ValueError(f"model has adapter {merged} merged into {name}; call unmerge_adapter() first")

    def follow(self) -> None:
        """Take over what may have been set on the model since: its mode, and its generation config."""
        self.bare.generation_config = self.model.generation_config
        for (_, theirs), (_, ours) in self._pairs:
            ours.training = theirs.training

    def _adapter(self, given: nn.Module, name: str) -> InMemory:
        from peft import get_peft_model_state_dict

        tensors = get_peft_model_state_dict(given, adapter_name=name, save_embedding_layers=False)
        scalings = {module: layer.scaling[name] for module, layer in self._layers.items() if name in layer.scaling}
        return InMemory(given.peft_config[name], tensors, scalings)


def _bare(model: PreTrainedModel) -> PreTrainedModel:
    """A copy of the modules, but for PEFT's, with the same parameters, buffers, configurations and hooks."""
    memo: dict[int, Any] = {}
    for name, module in model.named_modules():
        if "forward" in vars(module):
            found = f"model has another forward in {name or 'itself'} (compiled, or wrapped by accelerate)"
            raise ValueError(f"{found}, which leads to PEFT's layers; give the base model, and the adapter's folder")
        kept = [module._parameters, *module._parameters.values(), *module._buffers.values()]
        for own, value in vars(module).items():
            if own.endswith("_hooks") and value:
                kept += value.values()
            elif own in ("peft_config", "generation_config") or isinstance(value, torch.Tensor | PreTrainedConfig):
                kept.append(value)
        memo |= {id(value): value for value in kept if value is not None}
    try:
        for module in model.modules():
            if (base := _under(module)) is not None:
                memo[id(module)] = copy.deepcopy(base, memo)
        bare = copy.deepcopy(model, memo)
    except Exception as error:  # of whatever the modules hold beside weights
        raise ValueError(f"model cannot be taken apart from PEFT's layers: {error}") from error
    left = next((module for module in bare.modules() if _is_peft(module)), None)
    if left is not None:
        raise ValueError(f"model holds a {type(left).__name__} of PEFT's, which cannot be taken apart from it")
    return bare


def _under(module: nn.Module) -> nn.Module | None:
    """What a module of PEFT's stands in for; None if it is not such a module."""
    if not _is_peft(module):
        return None
    return module.get_base_layer() if hasattr(module, "get_base_layer") else getattr(module, "original_module", None)


def _without_peft(model: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Modules by name, in order, with what PEFT's stand in for in their places."""
    model = _under(model) or model
    yield prefix, model
    for name, child in model.named_children():
        yield from _without_peft(child, f"{prefix}.{name}")


def _is_peft(module: nn.Module) -> bool:
    return type(module).__module__.partition(".")[0] == "peft"
