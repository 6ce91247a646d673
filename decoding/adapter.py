"""PEFT LoRA adapters read from their folder. Nothing is unpickled, and nothing is used before it has been checked."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from cold_kernels.limits import MAX_RANK

WEIGHTS = "adapter_model.safetensors"
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
    name: str, folder: str | Path, modules: Mapping[str, tuple[int, int]], weights: Mapping[str, torch.Tensor]
) -> dict[str, LoRA]:
    """The adapter saved in ``folder``, by name of the module that it adapts.

    Args:
        name: What messages call the adapter.
        modules: Input and output size of each module that can be adapted.
        weights: The model's parameters. PEFT saves a copy of those that belong to ``lm_head`` or embeddings; one that
            was trained, and so differs, cannot be honoured.

    Raises:
        FileNotFoundError: no such folder or file in it.
        ValueError: a file that is broken, unsafe, of a kind that cannot be honoured, or for another model.
    """
    adapter, folder = f"adapter {name!r}", Path(folder)
    config = _config(adapter, _inside(adapter, folder, "adapter_config.json"))
    if not (folder / WEIGHTS).exists() and (folder / "adapter_model.bin").exists():
        raise ValueError(f"{adapter} holds a pickle, adapter_model.bin, which may run code; save it as {WEIGHTS}")
    tensors = _tensors(adapter, _inside(adapter, folder, WEIGHTS), modules, weights)
    read = {}
    for module, (a, b) in tensors.items():
        rank = _by_pattern(config.get("rank_pattern"), module, config["r"])
        alpha = _by_pattern(config.get("alpha_pattern"), module, config["lora_alpha"])
        if a.shape[0] != rank:
            raise ValueError(
                f"{adapter}: {module} has rank {a.shape[0]} in {WEIGHTS} and {rank} in adapter_config.json"
            )
        scaling = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
        read[module] = LoRA(a, _finite(adapter, f"{module}.lora_B times {scaling}", b * scaling))
    return read


def _inside(adapter: str, folder: Path, name: str) -> Path:
    """The file, if it lies in the folder; files of Hugging Face's cache are links to the model's own blobs."""
    file = folder / name
    if not file.is_file():
        raise FileNotFoundError(f"{adapter}: no file {file}")
    real, home = file.resolve(), folder.resolve()
    allowed = [home] + [place.parent / "blobs" for place in home.parents if place.name == "snapshots"]
    if not any(real.is_relative_to(place) for place in allowed):
        raise ValueError(f"{adapter}: {file} leads out of its folder, to {real}")
    return file


def _config(adapter: str, file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{adapter}: {file.name} is not JSON: {error}") from None
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
    return config


def _tensors(
    adapter: str, file: Path, modules: Mapping[str, tuple[int, int]], weights: Mapping[str, torch.Tensor]
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """A and B of each module; sizes are compared with the model's before anything is read."""
    pairs: dict[str, dict[str, torch.Tensor]] = {}
    try:
        with safe_open(file, framework="pt") as opened:
            for key in opened.keys():
                found = re.fullmatch(rf"{re.escape(PREFIX)}(.+)\.lora_([AB])\.weight", key)
                if not found:
                    copied = weights.get(key.removeprefix(PREFIX).replace(".base_layer.", "."))
                    if copied is None or opened.get_slice(key).get_shape() != list(copied.shape):
                        raise ValueError(f"{adapter} holds {key}, which is no LoRA matrix of a linear layer")
                    if not torch.equal(opened.get_tensor(key).to(copied), copied):
                        raise ValueError(f"{adapter} holds {key}, which differs from the model's: it was trained")
                    continue
                module, matrix = found.groups()
                if module not in modules:
                    raise ValueError(f"{adapter} adapts {module}, {modules.lack(module)}")
                shape = opened.get_slice(key).get_shape()
                size = modules[module]["AB".index(matrix)]
                if (
                    len(shape) != 2
                    or shape["BA".index(matrix)] != size
                    or not 0 < shape["AB".index(matrix)] <= MAX_RANK
                ):
                    wanted = f"[rank, {size}]" if matrix == "A" else f"[{size}, rank]"
                    raise ValueError(f"{adapter}: {key} has shape {shape}; it must be {wanted}, rank 1 to {MAX_RANK}")
                pairs.setdefault(module, {})[matrix] = _finite(adapter, key, opened.get_tensor(key))
    except SafetensorError as error:
        raise ValueError(f"{adapter}: {file.name} is broken: {error}") from None
    if not pairs:
        raise ValueError(f"{adapter}: {file.name} holds no LoRA matrices")
    for module, pair in pairs.items():
        if pair.keys() != {"A", "B"} or pair["A"].shape[0] != pair["B"].shape[1]:
            raise ValueError(f"{adapter}: {module} has no pair of matrices A and B of one rank")
    return {module: (pair["A"], pair["B"]) for module, pair in pairs.items()}


def _finite(adapter: str, key: str, tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.dtype.is_floating_point:
        raise ValueError(f"{adapter}: {key} is {tensor.dtype}; it must be a floating-point type")
    wide = tensor.float()
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
