"""What cannot be honoured: refused when the engine starts, or by request with the reason."""

from types import SimpleNamespace

import pytest
from vllm import SamplingParams

from cold_kernels.integrations.vllm import names, plugin, versions
from cold_kernels.integrations.vllm.contrast import _defaults, check_params, contrast_of
from cold_kernels.integrations.vllm.middleware import refusal
from cold_kernels.integrations.vllm.requirements import check_cache, check_engine, check_scheduler

from .engine import CONTRAST, NEW, Asked, engine, generate

pytestmark = pytest.mark.engine


def config(**changes):
    """An engine's configuration with which contrast works, but for ``changes``: names with underscores for dots."""
    parts = dict(
        model=dict(
            logits_processors=[names.PROCESSOR],
            logprobs_mode="raw_logprobs",
            runner_type="generate",
            is_encoder_decoder=False,
        ),
        scheduler=dict(max_num_seqs=8, async_scheduling=False, scheduler_cls=names.SCHEDULER),
        parallel=dict(pipeline_parallel_size=1),
    )
    whole = dict(lora_config=object(), speculative_config=None, kv_transfer_config=None, use_v2_model_runner=False)
    for name, value in changes.items():
        part = next((part for part in parts.values() if name in part), whole)
        part[name] = value
    return SimpleNamespace(**{f"{name}_config": SimpleNamespace(**part) for name, part in parts.items()}, **whole)


@pytest.fixture(autouse=True)
def installed():
    plugin.install()


@pytest.mark.parametrize(
    "change, said",
    [
        (dict(max_num_seqs=1), "max_num_seqs is 1.*--max-num-seqs 2"),
        (dict(async_scheduling=True), "async scheduling is on.*--no-async-scheduling"),
        (dict(speculative_config=object()), "speculative decoding is on.*leave out --speculative-config"),
        (dict(pipeline_parallel_size=2), "pipeline parallelism is on.*--pipeline-parallel-size 1"),
        (dict(kv_transfer_config=object()), "a KV connector is configured"),
        (dict(use_v2_model_runner=True), "V2 model runner is on.*VLLM_USE_V2_MODEL_RUNNER=0"),
        (dict(logprobs_mode="processed_logprobs"), "logprobs_mode is processed_logprobs.*raw_logprobs"),
        (dict(runner_type="pooling"), "runner_type is pooling"),
        (dict(is_encoder_decoder=True), "has an encoder"),
        (dict(logits_processors=None), "--logits-processors does not end with"),
        (dict(logits_processors=[names.PROCESSOR, "another:Processor"]), "does not end with"),
        (dict(lora_config=None), "--enable-lora"),
        (dict(lora_config=SimpleNamespace(enable_tower_connector_lora=True)), "enable_tower_connector_lora"),
        (dict(watermark_config=object()), "a watermark is configured"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_engine_that_could_not_keep_pairs(change, said):
    check_engine(config())
    with pytest.raises(ValueError, match=said):
        check_engine(config(**change))


def test_a_running_state_cannot_go_back():
    with pytest.raises(ValueError, match="layers with a running state"):
        check_cache(config(), SimpleNamespace(has_mamba_layers=True))


def test_the_processor_alone():
    check_scheduler(config())
    with pytest.raises(ValueError, match="--scheduler-cls is None; the processor of contrast needs .*PairScheduler"):
        check_scheduler(config(scheduler_cls=None))


def test_vllms_own_lora(monkeypatch):
    monkeypatch.setattr(plugin, "_own", {})
    with pytest.raises(ValueError, match="COLD_KERNELS_VLLM is not 1"):
        check_engine(config())


def test_another_release_keeps_its_own(monkeypatch):
    import vllm

    monkeypatch.setattr(plugin, "_own", {})
    monkeypatch.setattr(vllm, "__version__", "9.9.0")
    with pytest.warns(UserWarning, match="vLLM 9.9.0 is not known to cold_kernels.*vLLM's own"):
        plugin.install()
    assert not plugin.is_installed()
    with pytest.raises(ValueError, match="vLLM is 9.9.0; contrast is made for"):
        check_engine(config())
    assert versions.wrapped("0.32.0+cpu") and not versions.scheduled("0.31.0")


@pytest.mark.parametrize(
    "options, said",
    [
        (dict(max_num_seqs=1), "max_num_seqs is 1"),
        (dict(scheduler_cls=None), "--scheduler-cls is None"),
        (dict(block_size=32, num_gpu_blocks_override=12), "holds 1.*give --max-model-len 1"),
    ],
    ids=["one row", "no scheduler", "a cache for one of the pair"],
)
def test_an_engine_does_not_start(served, options, said):
    with pytest.raises((ValueError, RuntimeError), match=said), engine(served, **options):
        raise AssertionError("it started")


def test_without_contrasts_options_one_row_is_enough(served):
    with engine(served, **dict.fromkeys(CONTRAST), max_num_seqs=1) as llm:
        one = Asked([1, 2, 3], "math")
        (output,) = generate(llm, served, [one])
    assert list(output.outputs[0].token_ids) == served.expected(one.prompt, NEW, "math")


@pytest.mark.parametrize(
    "extra, said",
    [
        (dict(cold_beta=-0.5), "cold_beta is -0.5; it must be 0 or more"),
        (dict(cold_beta="0.5"), "cold_beta is '0.5'; it must be a number"),
        (dict(cold_beta=True), "cold_beta is True"),
        (dict(cold_beta=float("nan")), "cold_beta is nan"),
        (dict(cold_beta=1, cold_alpha=0), "cold_alpha is 0; it must be above 0 and at most 1"),
        (dict(cold_beta=1, cold_alpha=1.5), "cold_alpha is 1.5"),
        (dict(cold_alpha=0.1), "cold_alpha does nothing without cold_beta"),
        (dict(cold_gamma=1), "cold_gamma is unknown; contrast takes cold_beta and cold_alpha"),
        (dict(cold_beta=1, cold_role="expert"), "cold_role is written by the scheduler"),
    ],
)
def test_values_of_contrast(extra, said):
    with pytest.raises(ValueError, match=said):
        check_params(SamplingParams(extra_args=extra))


@pytest.mark.parametrize(
    "field, value",
    [("presence_penalty", 0.5), ("frequency_penalty", 0.5), ("repetition_penalty", 1.1), ("min_p", 0.1)]
    + [("prompt_logprobs", 1)],
)
def test_what_would_be_ignored_beside_contrast(field, value):
    check_params(SamplingParams(**{field: value}))
    with pytest.raises(ValueError, match=f"{field} is {value} beside cold_beta, which cannot be honoured"):
        check_params(SamplingParams(**{field: value}, extra_args=dict(cold_beta=0.5)))


def test_a_sampling_parameter_that_nobody_has_looked_at(monkeypatch):
    from cold_kernels.integrations.vllm import contrast

    monkeypatch.setattr(contrast, "HONOURED", contrast.HONOURED - {"logit_bias"})
    with pytest.raises(ValueError, match="logit_bias is .* beside cold_beta.*nobody has shown"):
        check_params(SamplingParams(logit_bias={1: 2.0}, extra_args=dict(cold_beta=0.5)))
    assert contrast_of(SamplingParams()) is None and "temperature" in _defaults()


def test_requests_over_http_whose_contrast_would_be_dropped():
    wanted = {"vllm_xargs": {"cold_beta": 0.5}}
    assert refusal("/v1/completions", wanted) is None and refusal("/v1/chat/completions", wanted) is None
    assert refusal("/v1/embeddings", {"input": "cold_beta"}) is None
    assert "vllm_xargs" in refusal("/v1/completions", {"cold_beta": 0.5})
    assert "use_beam_search" in refusal("/v1/completions", wanted | {"use_beam_search": True})
    assert "/v1/messages does not hand vllm_xargs on" in refusal("/v1/messages", wanted)


def test_drafts(served):
    """The last one: it brings in Numba, beside which vLLM starts no second engine in a process."""
    drafts = dict(method="ngram", num_speculative_tokens=2, prompt_lookup_max=2)
    with pytest.raises((ValueError, RuntimeError), match="speculative"), engine(served, speculative_config=drafts):
        raise AssertionError("it started")
