"""Adapters that a release of vLLM would read without a word, and compute as if they were others."""

import functools
from dataclasses import fields
from typing import Any

import vllm
from vllm.lora.peft_helper import PEFTHelper

MEANT = (
    "alpha_pattern", "rank_pattern", "lora_bias", "use_dora", "use_qalora", "use_bdlora", "alora_invocation_tokens",
    "layer_replication",
)  # fmt: skip
"""What an ``adapter_config.json`` may say that changes the products; releases before 0.31 know few of them."""


def refuse_what_is_ignored() -> None:
    """Have vLLM refuse an adapter with a setting that its reader does not know; once in a process."""
    read = PEFTHelper.__dict__["from_dict"].__func__
    if hasattr(read, "refuses"):
        return

    @functools.wraps(read)
    def from_dict(cls: type, config_dict: dict[str, Any]) -> PEFTHelper:
        known = {field.name for field in fields(cls)}
        ignored = [name for name in MEANT if config_dict.get(name) and name not in known]
        if ignored:
            value = config_dict[ignored[0]]
            raise ValueError(f"{ignored[0]} of the adapter is {value!r}, which vLLM {vllm.__version__} does not know")
        return read(cls, config_dict)

    from_dict.refuses = True
    PEFTHelper.from_dict = classmethod(from_dict)
