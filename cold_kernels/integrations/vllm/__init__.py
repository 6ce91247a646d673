"""vLLM: LoRA by the operators, and contrastive LoRA decoding as a feature of the server.

`register` is the distribution's entry point in vLLM's group of general plugins. It does nothing unless it is asked for
by ``COLD_KERNELS_VLLM=1`` or by name in ``VLLM_PLUGINS``.
"""

import os

from .names import NAME, SWITCH


def asked_for() -> bool:
    """Whether the environment asks for the plugin.

    Raises:
        ValueError: ``COLD_KERNELS_VLLM`` is neither 0 nor 1.
    """
    switch = os.environ.get(SWITCH, "")
    if switch not in ("", "0", "1"):
        raise ValueError(f"{SWITCH} is {switch!r}; it must be 1, or 0 for vLLM's own LoRA")
    return switch == "1" or (not switch and NAME in os.environ.get("VLLM_PLUGINS", "").split(","))


def register() -> None:
    """Have vLLM compute LoRA with the operators, if it is asked to; called in each of its processes, perhaps often."""
    if asked_for():
        from .plugin import install

        install()
