"""PEFT LoRA adapters as they are read. Nothing is unpickled, and nothing is used before it has been checked."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from cold_kernels.limits import MAX_RANK

from .sources import CONFIG, Opened, Source, opened

PREFIX = "base_model.model."
HONOURED = {"r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern"}
# Of training, of where modules are found (their names in the file say that), or of who wrote the file.
HARMLESS = {
    "task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode",
    "target_modules", "exclude_modules", "lora_dropout", "fan_in_fan_out", "layers_to_transform", "layers_pattern",
    "megatron_core", "loftq_config", "eva_config", "qalora_group_size", "runtime_config", "parent_library",
    "ensure_weight_tying",
}  # fmt: skip
CHANGES_THE_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")


@dataclass(frozen=True)
class LoRA:
    """One module's pair of matrices, on the CPU: A ``[r, in]``, B ``[out, r]`` with the adapter's scaling in it."""

    a: torch.Tensor
    b: torch.Tensor


def read_adapter(
    name: str, source: Source, modules: Mapping[str, tuple[int, int]], weights: Mapping[str, torch.Tensor]
) -> dict[str, LoRA]:
    """The adapter in ``source``, by name of the module that it adapts, as a copy.

    Args:
        name: What messages call the adapter.
        source: A folder, a name on the hub, or an adapter in memory.
        modules: Input and output size of each module that can be adapted.
        weights: The model's parameters. PEFT saves a copy of those that belong to ``lm_head`` or embeddings; one that
            was trained, and so differs by more than its type's rounding, cannot be honoured.

    Raises:
        FileNotFoundError: no such folder or file in it, nor on the hub.
        ValueError: a source that is broken, unsafe, of a kind that cannot be honoured, or for another model.
    """
    adapter = f"adapter {name!r}"
    with opened(adapter, source) as found:
        check_config(adapter, found.config)
        config, scalings = found.config, found.scalings or {}
        read = {}
        for module, (a, b) in _tensors(adapter, found, modules, weights).items():
            rank = _by_pattern(config.get("rank_pattern"), module, config["r"])
            alpha = _by_pattern(config.get("alpha_pattern"), module, config["lora_alpha"])
            if a.shape[0] != rank:
                raise ValueError(f"{adapter}: {module} has rank {a.shape[0]} in {found.held_in} and {rank} in {CONFIG}")
            scaling = scalings.get(module, alpha / (math.sqrt(rank) if config.get("use_rslora") else rank))
            read[module] = LoRA(a, _finite(adapter, f"{module}.lora_B times {scaling}", b * scaling))
    return read


def check_config(adapter: str, config: Any) -> None:
    """Raise ValueError if a PEFT configuration cannot be honoured; ``adapter`` is what messages call its adapter."""
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        kind = config.get("peft_type") if isinstance(config, dict) else type(config).__name__
        raise ValueError(f"{adapter} has peft_type {kind!r}; only 'LORA' can be decoded with")
    if config.get("bias", "none") != "none":
        raise ValueError(f"{adapter} trains biases (bias={config['bias']!r}), which cannot be switched by row")
    if str(config.get("init_lora_weights", True)).lower().startswith(CHANGES_THE_BASE):
        raise ValueError(f"{adapter} changes the base weights (init_lora_weights={config['init_lora_weights']!r})")
    known = HONOURED | HARMLESS | {"peft_type", "bias", "init_lora_weights"}
    for key in sorted(config.keys() - known):
        if config[key]:
            raise ValueError(f"{adapter} has {key}={config[key]!r}, which is not supported")
    for key, pattern in (("r", "rank_pattern"), ("lora_alpha", "alpha_pattern")):
        patterns = config.get(pattern) or {}
        if not isinstance(patterns, dict) or not all(map(_compiles, patterns)):
            raise ValueError(f"{adapter} has {pattern}={patterns!r}; it must give numbers by regular expressions")
        values = [config.get(key), *patterns.values()]
        if not all(isinstance(value, (int, float)) and 0 < value < math.inf for value in values):
            raise ValueError(f"{adapter} has {key} {values}; they must be numbers above 0")


def _tensors(
    adapter: str, found: Opened, modules: Mapping[str, tuple[int, int]], weights: Mapping[str, torch.Tensor]
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """A and B of each module; sizes are compared with the model's before anything is read."""
    pairs: dict[str, dict[str, torch.Tensor]] = {}
    for key, shape in found.shapes.items():
        matched = re.fullmatch(rf"(?:{re.escape(PREFIX)})?(.+)\.lora_([AB])\.weight", key)
        if not matched:
            _check_copy(adapter, key, found, weights)
            continue
        module, matrix = matched.groups()
        if module not in modules:
            raise ValueError(f"{adapter} adapts {module}, {modules.lack(module)}")
        size = modules[module]["AB".index(matrix)]
        if len(shape) != 2 or shape["BA".index(matrix)] != size or not 0 < shape["AB".index(matrix)] <= MAX_RANK:
            wanted = f"[rank, {size}]" if matrix == "A" else f"[{size}, rank]"
            raise ValueError(f"{adapter}: {key} has shape {shape}; it must be {wanted}, rank 1 to {MAX_RANK}")
        pairs.setdefault(module, {})[matrix] = _finite(adapter, key, found.tensor(key))
    if not pairs:
        raise ValueError(f"{adapter}: {found.held_in} holds no LoRA matrices")
    for module, pair in pairs.items():
        if pair.keys() != {"A", "B"} or pair["A"].shape[0] != pair["B"].shape[1]:
            raise ValueError(f"{adapter}: {module} has no pair of matrices A and B of one rank")
    return {module: (pair["A"], pair["B"]) for module, pair in pairs.items()}


def _check_copy(adapter: str, key: str, found: Opened, weights: Mapping[str, torch.Tensor]) -> None:
    """Raise ValueError unless a tensor is a copy of a weight of the model's."""
    held = weights.get(key.removeprefix(PREFIX).replace(".base_layer.", "."))
    if held is None:
        raise ValueError(f"{adapter} holds {key}, which is no LoRA matrix of a linear layer")
    shape, own = found.shapes[key], list(held.shape)
    if shape != own:
        resized = f"{adapter} holds {key} of shape {shape} and the model's is {own}"
        raise ValueError(f"{resized}: it was resized for another vocabulary, which cannot be honoured")
    if not _same_rounded(found.tensor(key), held.detach().cpu()):
        raise ValueError(f"{adapter} holds {key}, which differs from the model's: it was trained")


def _same_rounded(saved: torch.Tensor, held: torch.Tensor) -> bool:
    """Whether both can be roundings of the same numbers, each to its own type."""
    if saved.dtype == held.dtype or not (saved.is_floating_point() and held.is_floating_point()):
        return saved.dtype == held.dtype and torch.equal(saved, held)
    coarse = max(saved.dtype, held.dtype, key=lambda dtype: torch.finfo(dtype).eps)
    if torch.equal(saved.to(coarse), held.to(coarse)):
        return True
    if torch.promote_types(saved.dtype, held.dtype) in (saved.dtype, held.dtype):
        return False
    # Neither type holds the other's numbers, as bfloat16 and float16: a number may have been rounded to both.
    saved, held = saved.float(), held.float()
    tiniest = torch.finfo(torch.float16).smallest_normal * torch.finfo(torch.float16).eps
    unit = torch.finfo(coarse).eps * torch.maximum(saved.abs(), held.abs()) + tiniest
    return bool(((saved - held).abs() <= unit).all())


def _finite(adapter: str, key: str, tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.dtype.is_floating_point:
        raise ValueError(f"{adapter}: {key} is {tensor.dtype}; it must be a floating-point type")
    wide = tensor.to(torch.float32, copy=True)
    if not wide.isfinite().all():
        raise ValueError(f"{adapter}: {key} holds {wide[~wide.isfinite()][0].item()}; all values must be finite")
    return wide


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def _by_pattern(patterns: dict[str, Any] | None, module: str, default: Any) -> Any:
    """The value of the first pattern that a module's name ends in, as PEFT finds it."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default
