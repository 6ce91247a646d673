"""Where adapters come from: a folder, the hub or its cache, or tensors in memory."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@dataclass(frozen=True)
class InMemory:
    """An adapter that is not in a file.

    Args:
        config: PEFT's ``LoraConfig``, or what its ``adapter_config.json`` would hold.
        tensors: Under PEFT's names, as ``get_peft_model_state_dict`` gives them.
        scalings: Of modules, by name, where they are not those of the configuration.
    """

    config: Any
    tensors: Mapping[str, torch.Tensor]
    scalings: Mapping[str, float] | None = None


Source = str | Path | InMemory | tuple[Any, Mapping[str, torch.Tensor]]
"""A folder, a name on the hub ("owner/name"), or ``(config, tensors)`` as in `InMemory`."""


@dataclass(frozen=True)
class Opened:
    """What a source holds, none of it checked yet.

    Args:
        config: As `InMemory.config`, in plain values.
        shapes: Of the tensors, by name.
        tensor: Reads one of them.
        held_in: What messages call the place of the tensors.
    """

    config: Any
    shapes: Mapping[str, list[int]]
    tensor: Callable[[str], torch.Tensor]
    held_in: str
    scalings: Mapping[str, float] | None = None


@contextmanager
def opened(adapter: str, source: Source) -> Iterator[Opened]:
    """What ``source`` holds; ``adapter`` is what messages call it.

    Raises:
        FileNotFoundError: no such folder, or file in it, and nothing on the hub that can be reached.
        ValueError: a file that is broken or unsafe, or a source of another kind.
    """
    if isinstance(source, tuple) and len(source) == 2:
        source = InMemory(*source)
    if isinstance(source, InMemory):
        yield _in_memory(adapter, source)
        return
    if not isinstance(source, str | Path):
        raise ValueError(
            f"{adapter} is a {type(source).__name__}; give a folder, a name on the hub, or (config, tensors)"
        )
    folder = _folder(adapter, source)
    config = _json(adapter, _inside(adapter, folder, CONFIG))
    if not (folder / WEIGHTS).exists() and (folder / "adapter_model.bin").exists():
        raise ValueError(f"{adapter} holds a pickle, adapter_model.bin, which may run code; save it as {WEIGHTS}")
    file = _inside(adapter, folder, WEIGHTS)
    try:
        with safe_open(file, framework="pt") as weights:
            shapes = {key: list(weights.get_slice(key).get_shape()) for key in weights.keys()}
            yield Opened(config, shapes, weights.get_tensor, WEIGHTS)
    except SafetensorError as error:
        raise ValueError(f"{adapter}: {WEIGHTS} is broken: {error}") from None


def _in_memory(adapter: str, source: InMemory) -> Opened:
    config = source.config.to_dict() if hasattr(source.config, "to_dict") else source.config
    if not isinstance(source.tensors, Mapping):
        raise ValueError(f"{adapter} has tensors in a {type(source.tensors).__name__}; give them by PEFT's names")
    for key, tensor in source.tensors.items():
        if not isinstance(tensor, torch.Tensor) or tensor.is_meta:
            kind = "on the meta device, without values" if isinstance(tensor, torch.Tensor) else type(tensor).__name__
            raise ValueError(f"{adapter}: {key} is {kind}; it must be a tensor with its values")
    shapes = {key: list(tensor.shape) for key, tensor in source.tensors.items()}
    return Opened(config, shapes, lambda key: source.tensors[key].detach().cpu(), "its tensors", source.scalings)


def _folder(adapter: str, source: str | Path) -> Path:
    """The folder itself, or the one that the hub's cache has, or gets, of the name."""
    folder = Path(source)
    if folder.exists() or not isinstance(source, str) or not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source):
        return folder
    from huggingface_hub import snapshot_download

    files = dict(repo_id=source, allow_patterns=[CONFIG, WEIGHTS])
    try:
        cached = Path(snapshot_download(**files, local_files_only=True))
        if all((cached / name).is_file() for name in (CONFIG, WEIGHTS)):
            return cached
    except (OSError, ValueError):  # not there, or only a part of it
        pass
    try:
        return Path(snapshot_download(**files))
    except Exception as error:  # of the network, of the hub, of the cache: by whatever client it has
        said = " ".join(str(error).split()) or type(error).__name__
        raise FileNotFoundError(
            f"{adapter}: no folder {source}, nothing whole of that name in the hub's cache, and no download: {said}"
        ) from error


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


def _json(adapter: str, file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{adapter}: {file.name} is not JSON: {error}") from None
