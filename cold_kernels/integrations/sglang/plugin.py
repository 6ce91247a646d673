"""What SGLang loads in each of its processes: the backend's name, in its registry and on its command line."""

import argparse
import logging
from importlib.metadata import version
from typing import Any

from . import NAME, READ_VERSIONS

CALLED = (
    "forward_with_base",
    "get_batch_info",
    "init_decode_cuda_graph_batch_info",
    "prepare_lora_batch",
    "reset_batch_state",
    "run_gate_up_lora",
    "run_lora_a_embedding",
    "run_lora_a_sgemm",
    "run_lora_b_sgemm",
    "run_qkv_lora",
)
"""What a backend's base class must have for `backend` to stand in for it."""

log = logging.getLogger(__name__)


def register() -> None:
    """Offer ``--lora-backend cold_kernels``; nothing else changes. The entry point of ``sglang.srt.plugins``.

    Where SGLang's registry is not as it was read, one warning says so and the backend is not offered.
    """
    try:
        from sglang.srt.lora.backend.lora_registry import register_lora_backend
        from sglang.srt.plugins.hook_registry import HookRegistry, HookType
    except ImportError as problem:
        log.warning("sglang %s: --lora-backend %s is not offered, as %s; %s", version("sglang"), NAME, problem, _read())
        return
    register_lora_backend(NAME)(backend_class)
    HookRegistry.register("sglang.srt.server_args.ServerArgs.add_cli_args", offer, HookType.AFTER)


def offer(_: None, parser: argparse.ArgumentParser, *__: Any) -> None:
    """Add the name to the choices of ``--lora-backend``, after SGLang has made them."""
    choices = next((action.choices for action in parser._actions if "--lora-backend" in action.option_strings), None)
    if isinstance(choices, list) and NAME not in choices:
        choices.append(NAME)


def backend_class() -> type:
    """The backend, once it is asked for.

    Raises:
        ValueError: SGLang's base class lacks what the backend stands in for.
    """
    installed = version("sglang")
    if installed not in READ_VERSIONS:
        log.warning("sglang %s: --lora-backend %s was not written for it; %s", installed, NAME, _read())
    from sglang.srt.lora.backend.base_backend import BaseLoRABackend

    if missing := [name for name in CALLED if not hasattr(BaseLoRABackend, name)]:
        raise ValueError(f"sglang {installed} has no {', '.join(missing)} in its LoRA backends; {_read()}")
    from .backend import ColdLoRABackend

    return ColdLoRABackend


def _read() -> str:
    return f"it was written against the source of {', '.join(READ_VERSIONS)}"
