"""What cannot be decoded with, told from the model alone, before a pass is run."""

from typing import Any

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

RATES = ("dropout", "attention_dropout", "activation_dropout", "hidden_dropout", "layerdrop", "router_jitter_noise")
"""Attributes by which modules drop out, or draw, while they are in training mode."""

WRONG_WHEN_LONG = {
    "moshi": "its cache drops tokens that its attention mask still reaches, once a text is longer than the window"
}
"""Why types of models are refused that are right only as far as a short proof reaches."""


def refuse_kind(model: Any) -> None:
    """Raise ValueError where no causal language model with its weights on one device is given."""
    if not isinstance(model, PreTrainedModel):
        raise ValueError(
            f"model is {_a(model)}; it must be a Hugging Face causal language model, "
            "as AutoModelForCausalLM.from_pretrained gives"
        )
    kind = type(model).__name__
    if getattr(model.config, "is_encoder_decoder", False):
        raise ValueError(f"model is an encoder-decoder, {kind}; give a decoder-only model (AutoModelForCausalLM)")
    if reason := WRONG_WHEN_LONG.get(model.config.model_type):
        raise ValueError(f"model {kind} cannot be decoded with a cache: {reason}")
    away = [name for name, tensor in model.named_parameters() if tensor.is_meta]
    if away:
        raise ValueError(f"model's weight {away[0]} is on the meta device (offloaded, or never loaded); load it whole")
    devices = sorted({str(tensor.device) for tensor in model.parameters()})
    hooked = next((name for name, module in model.named_modules() if _moves(module)), None)
    if len(devices) > 1 or hooked is not None:
        where = f"lies on {' and '.join(devices)}" if hooked is None else f"is moved about by accelerate ({hooked!r})"
        raise ValueError(f"model {where}; load it whole on one device (without device_map, or with one device in it)")
    text_config(model)


def text_config(model: PreTrainedModel) -> PreTrainedConfig:
    """The configuration of the part that decodes text.

    Raises:
        ValueError: it has none, or no vocabulary.
    """
    try:
        config = model.config.get_text_config(decoder=True)
    except ValueError as error:
        raise ValueError(f"model {type(model).__name__} has no one text decoder: {error}") from None
    if not isinstance(getattr(config, "vocab_size", None), int):
        raise ValueError(f"model {type(model).__name__} has no vocab_size in its configuration; it decodes no tokens")
    return config


def refuse_dropout(model: nn.Module) -> None:
    """Raise ValueError where the model is in training mode and drops out."""
    for name, module in model.named_modules():
        rates = [module.p] if isinstance(module, nn.Dropout) else [getattr(module, rate, None) for rate in RATES]
        if module.training and any(isinstance(rate, (int, float)) and rate > 0 for rate in rates):
            raise ValueError(f"the model is in training mode and drops out in {name}; call model.eval()")


def _moves(module: nn.Module) -> bool:
    """Whether accelerate brings the module's weights from elsewhere for each pass."""
    hook = getattr(module, "_hf_hook", None)
    hooks = [hook, *getattr(hook, "hooks", ())]
    return any(getattr(each, "offload", False) for each in hooks)


def _a(value: Any) -> str:
    return (
        repr(value)
        if isinstance(value, (str, type(None)))
        else f"a {type(value).__module__}.{type(value).__qualname__}"
    )
