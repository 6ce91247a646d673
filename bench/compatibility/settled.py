"""Tests whose failures were settled by hand: what is wrong, and where."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from .causes import CHIP, COMPILED, MISSING, REFERENCE, RELEASE, TEST, Cause


class Settled(NamedTuple):
    """Failures of one test function, or of a file.

    Args:
        test: Part of its name: ``file::function``, or the file alone.
        errors: What one of the errors must contain, so that another failure is not taken for this one.
        words: What is wrong, and how that is known.
    """

    repository: str
    test: str
    errors: str
    cause: Cause
    words: str


SETTLED = (
    Settled(
        "vllm-ascend",
        "test_apply_top_k_top_p_triton.py::test_invalid_inputs_rejected",
        "DID NOT RAISE",
        TEST,
        "expects an assertion about logits where neither k nor p is given, for which the function returns before any",
    ),
    Settled(
        "vllm-ascend",
        "test_apply_top_k_top_p_triton.py::test_k_zero",
        "is out of bounds for dimension 1",
        REFERENCE,
        "its torch reference gathers column vocab_size - k, which is none for k = 0; torch looks at indices on the CPU",
    ),
    Settled(
        "FlagGems",
        "test_moe_align_block_size.py::test_accuracy_moe_align_block_size",
        "Greatest absolute difference: 1 at index",
        TEST,
        "compares expert_ids behind the last block that is used: the Ascend back end's kernel leaves 0 there, the "
        "test's reference -1",
    ),
    Settled(
        "triton-ascend",
        "test_cdiv.py::test_cdiv",
        "AssertionError",
        TEST,
        "divides by random integers without leaving out 0",
    ),
    Settled(
        "triton-ascend",
        "test_paged_kvcache_krope.py::test_bubbleup_extract_nonzero_offset",
        "AssertionError",
        COMPILED,
        "the program's address lacks the constant part of the load's offset (HEAD_DIM_V); the values are the ones that "
        "the test calls buggy",
    ),
    Settled(
        "triton-ascend",
        "test_indirect_scalar_load_offset.py::test_gather_after_reduce",
        "AssertionError",
        COMPILED,
        "the program loads logits_ptr + topk_id and has lost req_idx * logits_stride; row 0 alone is right",
    ),
    Settled(
        "triton-ascend",
        "test_atomic_cas.py::test_atomic_cas_return_value",
        "AssertionError",
        COMPILED,
        "the program loads the old value after it has stored the new one and released the lock",
    ),
    Settled(
        "triton-ascend",
        "test_atomic_cas.py::test_atomic_cas_without_full",
        "AssertionError",
        COMPILED,
        "the program loads the old value after it has stored the new one and released the lock",
    ),
    *(
        Settled(
            "triton-ascend",
            test,
            "which the device leaves undone",
            COMPILED,
            "the program takes every 8th element of rows to rows of the same strides, for which the device library "
            "does nothing",
        )
        for test in (
            "test_implicit_atomic.py::test_addptr_implicit_perm_atomic_cas_2d",
            "test_implicit_permute.py::test_addptr_implicit_perm_load_store_2d_static_stride",
            "test_linearize_permute.py::test_k_store_perm_select",
        )
    ),
    Settled(
        "triton-ascend",
        "test_permuted_boundary_check.py::test_permute_boundary_check",
        "OutOfBounds",
        COMPILED,
        "boundary_check=(0,) of a block pointer with order=(0, 1) is applied to the other axis",
    ),
    Settled(
        "triton-ascend",
        "test_mod.py::test_case",
        "Float did not match Double",
        REFERENCE,
        "compares float32 with float64 by isclose, which CANN refuses too (aclnnIsClose)",
    ),
    Settled("Liger-Kernel", "test_mlp.py", "AssertionError", CHIP, "the function asserts that its tensors are on CUDA"),
    Settled(
        "triton-ascend",
        "test_annotations.py::test_int_annotation",
        "AssertionError",
        RELEASE,
        "looks for an argument's name in the Triton IR, which the installed release does not write there",
    ),
    Settled(
        "vllm-ascend",
        "test_fused_qkvzba_split_reshape_cat.py::test_fused_qkvzba_split_reshape_cat",
        "has no attribute 'fix_query_key_value_ordering'",
        MISSING,
        "the test's reference is a method that vLLM 0.27.1 does not have",
    ),
    Settled(
        "vllm-ascend",
        "test_mrope.py::test_mrotary_embedding_triton_kernel",
        "missing 1 required positional argument: 'is_neox_style'",
        MISSING,
        "calls triton_mrope as another vLLM than 0.27.1 has it",
    ),
    Settled(
        "sgl-kernel-npu",
        "test_mamba_conv.py::test_conv_varlen_update",
        "AssertionError",
        TEST,
        "torch_causal_conv1d_update_npu, which is plain torch, does not use its bias",
    ),
    Settled(
        "sgl-kernel-npu",
        "test_mamba_state_update.py::test_move_intermediate_cache_mask_and_destination_strides",
        "AssertionError",
        TEST,
        "the kernel fills a slot of the destination densely and does not look at its strides",
    ),
    Settled(
        "sgl-kernel-npu",
        "test_mamba_state_update.py::test_conv_state_rollback",
        "AssertionError",
        REFERENCE,
        "copies between overlapping views of one tensor, which torch's CPU does element by element",
    ),
    Settled(
        "sgl-kernel-npu",
        "test_add_rmsnorm_bias.py::test_add_rmsnorm_bias",
        "got multiple values for argument",
        TEST,
        "passes an argument twice: the function's parameters have changed",
    ),
    *(
        Settled("sgl-kernel-npu", test, "FixtureLookupError", TEST, "no test: a helper whose name begins with test_")
        for test in (
            "test_cache_assign.py::test_op",
            "test_cache_update.py::test_op",
            "test_decode_attention.py::test_gqa",
            "test_decode_attention.py::test_mla",
        )
    ),
)


def settled(repository: str, row: Mapping[str, Any]) -> Settled | None:
    """What was settled about a recorded test; None if nothing was."""
    for one in SETTLED:
        if one.repository == repository and one.test in row["function"]:
            if any(one.errors in error for error in row["errors"]):
                return one
    return None
