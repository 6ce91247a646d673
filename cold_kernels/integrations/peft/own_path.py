"""What PEFT computes itself in a mixed batch, and why."""

import math
from collections.abc import Iterator

import torch
from peft.tuners.lora.layer import Linear, LoraLayer
from torch import nn

from ...limits import MAX_RANK
from ...ops.checks import FLOATS


def reason(layer: Linear, adapter: str) -> str | None:
    """Why an adapter's part in a layer is PEFT's to compute, to follow "the adapter"; None if the operators do it."""
    a, b = layer.lora_A._modules[adapter], layer.lora_B._modules.get(adapter)
    variant, scale = layer.lora_variant.get(adapter), layer.scaling.get(adapter)
    if variant is not None or layer.use_dora.get(adapter):
        return f"is of the variant {type(variant).__name__}"
    if type(a) is not nn.Linear or type(b) is not nn.Linear:
        return f"has matrices of the types {type(a).__name__} and {type(b).__name__}, not Linear"
    if a.bias is not None or b.bias is not None:
        return "has a bias (lora_bias)"
    if (dropout := type(layer.lora_dropout._modules.get(adapter))) not in (nn.Identity, nn.Dropout):
        return f"has a {dropout.__name__} for dropout"
    if not isinstance(scale, int | float) or not math.isfinite(scale):
        return f"has scaling {scale!r}, which is no finite number"
    for name, matrix in (("A", a.weight), ("B", b.weight)):
        if type(matrix) is not nn.Parameter or type(matrix.data) is not torch.Tensor or matrix.layout != torch.strided:
            return f"has {name} in a {type(matrix.data).__name__} of its own"
        if matrix.dtype not in FLOATS:
            return f"has {name} in {matrix.dtype}; the operators take float16, bfloat16 and float32"
        if matrix.is_meta or matrix.device != a.weight.device:
            return f"has {name} on {matrix.device}"
        if not matrix.is_cpu and matrix.is_inference():
            return f"has {name} in an inference tensor, in which a change is not seen"
    rank, inner = a.weight.shape
    if not 1 <= rank <= MAX_RANK:
        return f"has rank {rank}; the operators take 1 to {MAX_RANK}"
    if b.weight.shape[1] != rank or (inner, b.weight.shape[0]) != (layer.in_features, layer.out_features):
        return f"has A {list(a.weight.shape)} and B {list(b.weight.shape)}, which is not the layer's size"
    if getattr(layer.get_base_layer(), "_hf_tp_plan", None) is not None:
        return "stands on a layer that is split over devices"
    return None


def left_to_peft(model: nn.Module) -> Iterator[tuple[str, str]]:
    """What of a model's adapters PEFT computes in a mixed batch, by the layer's name and why.

    Embeddings, convolutions, ``modules_to_save`` and quantised layers with classes of their own are PEFT's as a whole;
    so are, while that is so, calls that want gradients, compile, autocast or drop out.
    """
    from peft.utils.other import AuxiliaryTrainingWrapper

    for name, module in model.named_modules():
        if type(module) is Linear:
            for adapter in module.lora_A:
                if why := reason(module, adapter):
                    yield name, f"the adapter {adapter!r} {why}"
        elif isinstance(module, LoraLayer | AuxiliaryTrainingWrapper):
            yield name, f"{type(module).__module__.removeprefix('peft.')}.{type(module).__name__} is computed by PEFT"
