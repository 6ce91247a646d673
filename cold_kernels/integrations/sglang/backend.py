"""The class that SGLang's LoRA layers call."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from sglang.srt.environ import envs
from sglang.srt.lora.backend.base_backend import BaseLoRABackend
from sglang.srt.lora.utils import generate_sequence_lengths, get_lm_head_pruned_lens

from ... import bgmv_expand_slice
from ...limits import MAX_RANK
from . import NAME
from .batches import BatchInfo, captured_batch, eager_batch, layout, refresh
from .products import add_grouped, add_static, shrunk
from .rows import rank_factors


class ColdLoRABackend(BaseLoRABackend):
    """All linear layers, the embedding and the head; experts (MoE) are refused.

    Batches that are not captured take one launch of `bgmv_shrink_expand` for each layer, all of its slices together
    (q, k, v; gate, up), and for each rank and scaling among the batch's adapters; ranks above 128 take shrink and
    expand. Captured decode graphs take shrink and expand for each slice, which serve any ranks. Base rows are left
    alone.

    Args:
        max_loras_per_batch: Slots, the base model's included.
        device: Where the model is.
        server_args: SGLang's, not used.

    Raises:
        ValueError: SGLang's experiment with kernels of its own is on, which would go past this backend.
    """

    name = NAME

    def __init__(self, max_loras_per_batch: int, device: torch.device, server_args: Any = None, **_: Any) -> None:
        if envs.SGLANG_EXPERIMENTAL_LORA_OPTI.get():
            raise ValueError(f"--lora-backend {NAME} and SGLANG_EXPERIMENTAL_LORA_OPTI do not go together; unset one")
        super().__init__(max_loras_per_batch, torch.device(device))
        self.captured: BatchInfo | None = None

    @property
    def is_moe_lora(self) -> bool:
        """False. SGLang sets it where it wraps experts, which is refused there, before anything runs."""
        return False

    @is_moe_lora.setter
    def is_moe_lora(self, value: bool) -> None:
        if value:
            raise ValueError(
                f"--lora-backend {NAME} has no LoRA of experts (MoE): leave gate_up_proj and down_proj out of "
                "--lora-target-modules, or take SGLang's triton backend"
            )

    # Batches.

    def init_decode_cuda_graph_batch_info(self, max_bs_in_cuda_graph: int, num_tokens_per_req: int) -> None:
        """Make the tensors that captured decode graphs read, of all base rows."""
        self.captured = captured_batch(max_bs_in_cuda_graph, num_tokens_per_req, self.max_loras_per_batch, self.device)

    def prepare_lora_batch(
        self,
        forward_batch: Any,
        weight_indices: Sequence[int],
        lora_ranks: Sequence[int],
        scalings: Sequence[float],
        use_cuda_graph: bool,
        use_prefill_cuda_graph: bool = False,
    ) -> None:
        """Before each forward pass: which slot each request has, and each slot's rank and scaling."""
        lengths = generate_sequence_lengths(forward_batch, device="cpu").tolist()
        if not use_cuda_graph:
            self.batch_info = eager_batch(weight_indices, lengths, lora_ranks, scalings, self.device)
        elif self.captured is None:
            raise RuntimeError("a captured batch came before init_decode_cuda_graph_batch_info")
        else:
            refresh(self.captured, weight_indices, lengths, lora_ranks, scalings)
            self.batch_info = self.captured
        self.lm_head_batch_info, self.lm_head_pass_batch_infos = None, None
        pruned = get_lm_head_pruned_lens(forward_batch)
        if pruned is not None:
            self.lm_head_batch_info = eager_batch(weight_indices, pruned, lora_ranks, scalings, self.device)
            passes = self._get_lm_head_pass_segments(weight_indices, pruned)
            if passes is not None:
                self.lm_head_pass_batch_infos = [eager_batch(*one, lora_ranks, scalings, self.device) for one in passes]

    def prepare_lora_token_segments(
        self,
        *,
        segment_lens: Sequence[int],
        weight_indices: Sequence[int],
        lora_ranks: Sequence[int],
        scalings: Sequence[float],
    ) -> None:
        """As `prepare_lora_batch`, of runs of tokens that are no requests."""
        self.reset_batch_state()
        self.batch_info = eager_batch(weight_indices, segment_lens, lora_ranks, scalings, self.device)

    def _of(self, x: torch.Tensor, pruned: BatchInfo | None) -> BatchInfo:
        """The batch that a layer's input is of.

        Raises:
            RuntimeError: it has another number of rows.
        """
        info = self.get_batch_info() if pruned is None else pruned
        rows = None if info is None else info.rows.indices.shape[0]
        if rows is None or rows < x.shape[0] or not info.use_cuda_graph and rows != x.shape[0]:
            raise RuntimeError(f"a LoRA layer was given {x.shape[0]} rows, but the batch was prepared for {rows}")
        return info

    # Layers.

    def forward_with_base(
        self,
        layer: Any,
        x: torch.Tensor,
        base_fn: Callable[[], torch.Tensor],
        lora_a: torch.Tensor,
        lora_b: torch.Tensor,
        output_offset: torch.Tensor,
        offsets: Sequence[int],
        *,
        all_reduce: Callable[[torch.Tensor], torch.Tensor] | None = None,
        kind: str = "linear",
        pruned_batch_info: BatchInfo | None = None,
    ) -> torch.Tensor:
        """A layer's output with LoRA.

        Where inputs are shared out among ranks (row-parallel layers), each adds the product of its own share before the
        one reduction; SGLang's own backends reduce the small product by itself.
        """
        if not x.is_floating_point():  # token ids
            return layer.apply_lora(base_fn(), x)
        output = self._add(x, lora_a, lora_b, base_fn(), output_offset, offsets, pruned_batch_info)
        return output if all_reduce is None else all_reduce(output)

    def run_qkv_lora(
        self,
        x: torch.Tensor,
        qkv_lora_a: torch.Tensor,
        qkv_lora_b: torch.Tensor,
        output_offset: torch.Tensor,
        output_offset_cpu: torch.Tensor,
        max_qkv_out_dim: int = 0,
        base_output: torch.Tensor | None = None,
        n_slices: int = 3,
        **_: Any,
    ) -> torch.Tensor:
        """The products of slices of any widths, added to ``base_output`` or alone."""
        return self._add(x, qkv_lora_a, qkv_lora_b, base_output, output_offset, output_offset_cpu.tolist())

    def run_gate_up_lora(
        self,
        x: torch.Tensor,
        gate_up_lora_a: torch.Tensor,
        gate_up_lora_b: torch.Tensor,
        output_offset: torch.Tensor,
        output_offset_cpu: torch.Tensor,
        base_output: torch.Tensor | None = None,
        **_: Any,
    ) -> torch.Tensor:
        """The products of two slices of one width, added to ``base_output`` or alone."""
        return self._add(x, gate_up_lora_a, gate_up_lora_b, base_output, output_offset, output_offset_cpu.tolist())

    def run_lora_a_sgemm(
        self,
        x: torch.Tensor,
        weights: torch.Tensor,
        pruned_batch_info: BatchInfo | None = None,
        stack_num: int = 1,
        **_: Any,
    ) -> torch.Tensor:
        """The small product of a layer of one slice, ``[T, M]`` float32: scaled, and 0 beyond each adapter's rank.

        Raises:
            ValueError: the layer has more slices, which `run_qkv_lora` takes.
        """
        if stack_num != 1:
            raise ValueError(f"stack_num is {stack_num}; run_lora_a_sgemm takes 1, run_qkv_lora more")
        info = self._of(x, pruned_batch_info)
        most = _checked_rank(weights.shape[1])
        indices = info.rows.indices[: x.shape[0]]
        factors = rank_factors(indices, info.lora_ranks, info.scalings, most)
        return torch.where(factors != 0, shrunk(x, weights, indices, most) * factors, 0.0)

    def run_lora_b_sgemm(
        self,
        x: torch.Tensor,
        weights: torch.Tensor,
        base_output: torch.Tensor | None = None,
        pruned_batch_info: BatchInfo | None = None,
        **_: Any,
    ) -> torch.Tensor:
        """The large product of a layer of one slice, of what `run_lora_a_sgemm` or `run_lora_a_embedding` gives."""
        info = self._of(x, pruned_batch_info)
        width = weights.shape[1]
        output = x.new_zeros(x.shape[0], width, dtype=weights.dtype) if base_output is None else base_output
        bgmv_expand_slice(x.float(), weights, output, info.rows.indices[: x.shape[0]], 0, width)
        return output

    def run_lora_a_embedding(
        self,
        input_ids: torch.Tensor,
        weights: torch.Tensor,
        vocab_size: int,
        extra_embeddings: torch.Tensor | None = None,
        **_: Any,
    ) -> torch.Tensor:
        """Each token's column of its adapter's A ``[L, M, V]``: ``[T, M]`` float32, scaled, 0 beyond the rank and for
        ids outside of the vocabulary (placeholders of images).

        Raises:
            ValueError: an adapter brings embeddings of new tokens.
        """
        if extra_embeddings is not None:
            raise ValueError(f"--lora-backend {NAME} has no embeddings of tokens that an adapter adds")
        info = self._of(input_ids, None)
        indices = info.rows.indices[: input_ids.shape[0]]
        inside = (input_ids >= 0) & (input_ids < weights.shape[2])
        found = weights[indices.clamp(min=0).long(), :, input_ids.where(inside, 0).long()].float()
        factors = rank_factors(indices.where(inside, -1), info.lora_ranks, info.scalings, weights.shape[1])
        return torch.where(factors != 0, found * factors, 0.0)

    def _add(
        self,
        x: torch.Tensor,
        a: torch.Tensor,
        b: torch.Tensor,
        base_output: torch.Tensor | None,
        starts: torch.Tensor,
        offsets: Sequence[int],
        pruned: BatchInfo | None = None,
    ) -> torch.Tensor:
        slices, most = len(offsets) - 1, b.shape[2]
        if a.shape[1] != slices * most or b.shape[1] != offsets[-1]:
            raise ValueError(f"weights {list(a.shape)} and {list(b.shape)} are not of slices at {list(offsets)}")
        info = self._of(x, pruned)
        _checked_rank(most)
        output = x.new_zeros(x.shape[0], offsets[-1]) if base_output is None else base_output
        if info.rows.groups is not None:
            add_grouped(x, a, b, output, starts[:slices], offsets, info.rows)
            return output
        columns, factors = (tensor[: x.shape[0]] for tensor in layout(info, slices, most))
        add_static(x, a, b, output, offsets, info.rows.indices[: x.shape[0]], columns, factors)
        return output


def _checked_rank(most: int) -> int:
    if most > MAX_RANK:
        raise ValueError(f"--max-lora-rank is {most}; --lora-backend {NAME} takes ranks to {MAX_RANK}")
    return most
