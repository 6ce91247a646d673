"""What contrast needs of an engine's configuration, said when it starts."""

from collections.abc import Sequence
from typing import Any

import vllm
from vllm.config import VllmConfig
from vllm.v1.core.kv_cache_utils import get_max_concurrency_for_kv_cache_config
from vllm.v1.kv_cache_interface import KVCacheConfig

from . import versions
from .names import PROCESSOR, SCHEDULER, SWITCH
from .plugin import is_installed


def check_engine(config: VllmConfig) -> None:
    """Raise for an engine in which pairs would wait for ever or get wrong tokens.

    Raises:
        ValueError: which option, its value, and what to give instead.
    """
    if not versions.scheduled(vllm.__version__):
        raise ValueError(f"vLLM is {vllm.__version__}; contrast is made for {' and '.join(versions.RUN)}")
    if not is_installed():
        raise ValueError(f"{SWITCH} is not 1, and vLLM's own LoRA is not known to leave base rows alone; set it")
    if not _is_last(PROCESSOR, config.model_config.logits_processors or ()):
        raise ValueError(f"--logits-processors does not end with {PROCESSOR}, which chooses the tokens of contrast")
    if config.lora_config is None:
        raise ValueError("contrast is between a LoRA adapter and its base model; give --enable-lora")
    scheduler, parallel = config.scheduler_config, config.parallel_config
    refused = {
        "max_num_seqs is 1": (scheduler.max_num_seqs < 2, "contrast takes two rows; give --max-num-seqs 2 or more"),
        "async scheduling is on": (
            bool(scheduler.async_scheduling),
            "it plans a step before it is known which rows of the last one count; give --no-async-scheduling",
        ),
        "speculative decoding is on": (
            config.speculative_config is not None,
            "its drafts know nothing of contrast; leave out --speculative-config",
        ),
        "pipeline parallelism is on": (
            parallel.pipeline_parallel_size > 1,
            "it plans steps ahead; give --pipeline-parallel-size 1",
        ),
        "a KV connector is configured": (
            config.kv_transfer_config is not None,
            "an amateur's keys and values are not transferred; leave out --kv-transfer-config",
        ),
        "the V2 model runner is on": (
            bool(getattr(config, "use_v2_model_runner", False)),
            "its logits processors have another interface; set VLLM_USE_V2_MODEL_RUNNER=0",
        ),
        f"logprobs_mode is {config.model_config.logprobs_mode}": (
            not str(config.model_config.logprobs_mode).startswith("raw"),
            "after the choice by contrast one token is left; give --logprobs-mode raw_logprobs or raw_logits",
        ),
        "enable_tower_connector_lora is true": (
            bool(getattr(config.lora_config, "enable_tower_connector_lora", False)),
            "an amateur would be given what the expert's adapter made of the images; leave it out",
        ),
        "a watermark is configured": (
            getattr(config, "watermark_config", None) is not None,
            "contrast leaves the sampler one token, so that there would be none; leave it out",
        ),
        "the model has an encoder": (
            bool(config.model_config.is_encoder_decoder),
            "contrast is made for decoders alone",
        ),
        f"runner_type is {config.model_config.runner_type}": (
            config.model_config.runner_type != "generate",
            "contrast chooses tokens; give a model that generates",
        ),
    }
    for what, (found, instead) in refused.items():
        if found:
            raise ValueError(f"{what}: {instead}")


def check_cache(config: VllmConfig, cache: KVCacheConfig) -> None:
    """Raise for a cache in which a pair would wait for ever, or could not do its last token again.

    Raises:
        ValueError: what it is, and what to give instead.
    """
    if cache.has_mamba_layers:
        raise ValueError(
            "the model has layers with a running state, which cannot do a token again; contrast needs that"
        )
    requests = get_max_concurrency_for_kv_cache_config(config, cache)
    length = config.model_config.max_model_len
    if requests < 2:
        raise ValueError(
            f"the KV cache holds {requests:.2f} requests of max_model_len {length}, and contrast takes two rows; "
            f"give --max-model-len {int(length * requests / 2)} or less, or more memory for the cache"
        )


def check_scheduler(config: VllmConfig) -> None:
    """Raise if the processor is there without the scheduler that makes pairs.

    Raises:
        ValueError: with the option that is missing.
    """
    found = config.scheduler_config.scheduler_cls
    if found != SCHEDULER and getattr(found, "__name__", "") != SCHEDULER.rpartition(".")[2]:
        raise ValueError(f"--scheduler-cls is {found!r}; the processor of contrast needs {SCHEDULER}")


def _is_last(processor: str, given: Sequence[Any]) -> bool:
    return bool(given) and (
        given[-1] == processor or getattr(given[-1], "__name__", "") == processor.rpartition(":")[2]
    )
