"""Every causal family of transformers as a tiny model: one table of sizes by the names of configuration fields."""

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from .tiny import VOCABULARY

ENCODERS = (
    "bert", "bert-generation", "big_bird", "camembert", "data2vec-text", "electra", "ernie", "megatron-bert", "rembert",
    "roberta", "roberta-prelayernorm", "roc_bert", "roformer", "xlm-roberta", "xlm-roberta-xl", "xmod",
)  # fmt: skip
"""Encoders, unless their configuration says ``is_decoder``."""
FAMILIES = (*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, *(f"{family}, is_decoder" for family in ENCODERS))
PAD = 1

WIDTH, HEADS, LAYERS, CONTEXT, WINDOW = 32, 4, 4, 64, 10
SIZES = (
    (VOCABULARY, ("vocab_size", "vocab_size_per_layer_input", "unpadded_vocab_size", "n_words")),
    (WIDTH, (
        "hidden_size", "d_model", "n_embd", "emb_dim", "embedding_size", "embedding_dim", "word_embed_proj_dim",
        "lru_width", "input_embedding_size", "output_embedding_size", "attention_hidden_size", "backbone_hidden_size",
        "pronunciation_embed_dim", "shape_embed_dim", "ple_embed_dim", "moe_latent_size",
    )),
    (2 * WIDTH, ("attention_hidden_size_of_two",)),
    (48, (
        "intermediate_size", "n_inner", "ffn_dim", "decoder_ffn_dim", "encoder_ffn_dim", "moe_intermediate_size",
        "shared_expert_intermediate_size", "ffn_hidden_size", "dim_ff", "dff", "d_inner", "feed_forward_size",
        "expert_ffn_hidden_size", "shared_intermediate_size", "dense_intermediate_size", "intermediate_size_mlp",
        "moe_shared_expert_intermediate_size", "shared_experts_intermediate_size",
    )),
    (HEADS, (
        "num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads", "decoder_attention_heads",
        "attention_heads", "linear_num_heads", "linear_num_value_heads", "swa_num_attention_heads",
        "num_encoder_attention_heads",
        "num_decoder_attention_heads", "index_n_heads", "num_experts", "n_routed_experts", "num_local_experts",
        "moe_num_experts", "mamba_n_heads", "mamba_num_heads",
    )),
    (2, (
        "num_key_value_heads", "num_kv_heads", "swa_num_key_value_heads", "linear_num_key_heads", "num_experts_per_tok",
        "num_experts_per_token", "moe_topk", "moe_k", "n_mamba_heads", "hc_mult", "hc_count", "o_groups",
        "num_query_groups",
    )),
    (LAYERS, (
        "num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers",
        "num_encoder_layers",
        "num_decoder_layers", "num_blocks",
    )),
    (8, (
        "head_dim", "query_pre_attn_scalar", "kv_lora_rank", "v_head_dim", "qk_nope_head_dim", "linear_key_head_dim",
        "linear_value_head_dim", "linear_head_dim", "swa_head_dim", "dim_head", "kv_channels", "attention_head_size",
        "index_head_dim", "q_lora_rank", "o_lora_rank", "mamba_d_state", "state_size", "ssm_state_size", "d_head",
        "hidden_size_per_layer_input", "laurel_rank", "adapter_rank", "time_step_rank", "mamba_dt_rank", "rotary_dim",
        "global_head_dim", "d_rel", "router_hidden_size", "attention_head_dim", "zero_expert_num", "hc_lowrank",
    )),
    (8, ("qk_rope_head_dim",)),
    (8, ("index_topk",)),
    (4, ("chunk_size", "mamba_chunk_size", "max_window_layers", "rel_extent")),
    (16, ("qk_head_dim",)),
    (16, ("mamba_d_head", "mamba_headdim", "mamba_head_dim")),
    (CONTEXT, (
        "max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "context_length", "max_target_positions",
        "model_max_length", "original_max_position_embeddings",
    )),
    (WINDOW, (
        "sliding_window", "sliding_window_size", "attention_window_size", "window_size", "local_attention",
        "attention_chunk_size",
    )),
    (1, (
        "first_k_dense_replace", "n_group", "topk_group", "num_expert_group", "n_groups", "num_shared_experts",
        "n_shared_experts", "moe_num_shared_experts", "num_dense_layers", "num_expert_groups",
    )),
    (PAD, ("pad_token_id", "padding_idx", "bos_token_id", "eos_token_id", "sep_token_id")),
    (0.3, ("initializer_range", "init_std")),
)  # fmt: skip
BY_FIELD = {field: value for value, fields in SIZES for field in fields}
ALSO_IF_NONE = {"head_dim", "num_key_value_heads", "num_query_groups", "num_experts_per_tok"}
UNSET = {"forced_eos_token_id", "forced_bos_token_id"}
MIXED = dict(layer_types=["linear_attention", "full_attention"] * 2)
QWEN4 = dict(indexer_n_heads=4, indexer_kv_heads=1, indexer_head_dim=8, indexer_budget=8, indexer_compress_ratio=2)
DOTS3 = dict(
    swa_num_attention_heads=4,
    swa_num_key_value_heads=4,
    swa_q_lora_rank=8,
    swa_kv_lora_rank=8,
    swa_head_dim=16,
    swa_qk_nope_head_dim=8,
    swa_v_head_dim=8,
)
SPECIAL: dict[str, dict[str, Any]] = {
    "bailing_hybrid": dict(layer_group_size=2),
    "bamba": dict(attn_layer_indices=[1, 3]),
    "granitemoehybrid": MIXED,
    "kimi_linear": MIXED,
    "jamba": dict(attn_layer_period=2, attn_layer_offset=1),
    "gemma3n_text": dict(layer_types=["sliding_attention", "full_attention"] * 2, num_kv_shared_layers=2),
    "gemma4_assistant": dict(text_config=dict(hidden_size_per_layer_input=0, num_kv_shared_layers=LAYERS)),
    "gemma4_unified_assistant": dict(text_config=dict(num_kv_shared_layers=LAYERS)),
    "blt": dict(encoder_hash_byte_group_vocab=VOCABULARY),
    "dots3_note": dict(
        text_config=DOTS3,
        vision_config=dict(mlp_layer_types=["dense"] * LAYERS, adapter_in_dim=WIDTH, adapter_out_dim=WIDTH),
        audio_config=dict(adapter_out_dim=WIDTH),
    ),
    "dots3_note_text": DOTS3,
    "gpt_neo": dict(attention_types=[[["global", "local"], 2]]),
    "zaya": dict(num_experts_per_tok=1),
    "cohere_compass_text": dict(rope_parameters={"full_attention": dict(rope_type="default", rope_theta=10000.0)}),
    "dbrx": dict(
        attn_config=dict(kv_n_heads=2, rope_theta=10000.0, clip_qkv=8),
        ffn_config=dict(ffn_hidden_size=48, moe_num_experts=4, moe_top_k=2),
    ),
    "dots1": dict(n_routed_experts=4, n_shared_experts=1),
    "falcon_h1": dict(mamba_d_ssm=64),
    "lfm2_moe": dict(layer_types=["conv", "full_attention"] * 2),
    "mamba2": dict(num_heads=4, head_dim=16, n_groups=1),
    "xlstm": dict(hidden_size=256, embedding_dim=256, num_heads=4),
    "xmod": dict(languages=["en_XX"], default_language="en_XX"),
    "zamba": dict(
        layers_block_type=["linear_attention", "hybrid"] * 2, attention_hidden_size=64, attention_head_dim=16
    ),
    "zamba2": dict(
        layers_block_type=["linear_attention", "hybrid"] * 2,
        num_key_value_heads=HEADS,
        mamba_headdim=32,
        attention_hidden_size=64,
        attention_head_dim=16,
    ),
    "qwen4_exp_text": QWEN4,
    "qwen4_exp": dict(text_config=QWEN4),
    "reformer": dict(
        is_decoder=True,
        axial_pos_shape=(8, 8),
        axial_pos_embds_dim=(16, 16),
        local_attn_chunk_length=4,
        lsh_attn_chunk_length=4,
    ),
}
"""What a family needs besides."""


def tiny_family(family: str, seed: int = 0, **changes: Any) -> PreTrainedModel:
    """The family's causal model with ``SIZES``, in which every parameter matters and logits lie apart."""
    config = tiny_config(family.removesuffix(", is_decoder"), **changes)
    if family.endswith(", is_decoder"):
        config.is_decoder = True
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or (parameter.dim() > 1 and parameter.std() < 0.05):
                parameter.normal_(std=0.3)
    return model


def tiny_config(family: str, **changes: Any) -> PreTrainedConfig:
    stock = AutoConfig.for_model(family)
    return AutoConfig.for_model(family, **_merged(_small(stock), {**SPECIAL.get(family, {}), **changes}))


def _small(config: PreTrainedConfig) -> dict[str, Any]:
    """Fields of the configuration, and of those that it holds, at their small values."""
    small: dict[str, Any] = {}
    for field, value in config.to_dict().items():
        inner = config.__dict__.get(field)
        if isinstance(inner, PreTrainedConfig):
            small[field] = _small(inner)
        elif field in UNSET:
            small[field] = None
        elif field in BY_FIELD and (value is not None or field in ALSO_IF_NONE):
            small[field] = BY_FIELD[field]
    if small.get("kv_lora_rank"):
        small["num_key_value_heads"] = HEADS
    return small


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Values with changes, also within a configuration that is held."""
    inner = {
        name: _merged(values[name], change) for name, change in changes.items() if isinstance(values.get(name), dict)
    }
    return {**values, **changes, **inner}
