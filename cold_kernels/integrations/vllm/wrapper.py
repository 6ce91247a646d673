"""vLLM's LoRA wrapper, with the operators in place of its own."""

import functools
import itertools
import sys
import warnings
from typing import Any

import torch
from vllm.lora.layers import BaseLayerWithLoRA
from vllm.utils.import_utils import resolve_obj_by_qualname

import cold_kernels
from cold_kernels import bgmv_expand, bgmv_expand_slice, bgmv_shrink, bgmv_shrink_expand, lora_row_order
from cold_kernels.limits import MAX_FUSED_RANK, MAX_RANK

from .adapters import refuse_what_is_ignored
from .plugin import own_wrapper
from .stacks import stack, stacked

HELD = ("bgmv_shrink", "bgmv_expand", "bgmv_expand_slice", "sgmv_shrink", "sgmv_expand", "sgmv_expand_slice")


class Operators:
    """The LoRA products of a wrapper of vLLM's, by the operators; to be put before the platform's own class.

    What is not overridden stays the platform's: experts, classification heads, metadata. A wrapper that holds its
    operators as attributes, as vllm-ascend's does for its experts, gets ours there too.

    Nothing here synchronises with a device, and nothing that a forward pass does depends on Python values of the
    batch, so that it can be compiled and captured: rows come from tensors at fixed addresses, and rows that a graph
    adds as padding are base rows.
    """

    def __init__(
        self, max_num_batched_tokens: int, max_batches: int, device: torch.device | str, **kwargs: Any
    ) -> None:
        super().__init__(max_num_batched_tokens, max_batches, device, **kwargs)
        for name in HELD:
            if name in self.__dict__:
                setattr(self, name, getattr(cold_kernels, name))
        self._row_order = torch.zeros((4, len(self._token_lora_indices) + 1), dtype=torch.int32, device=device)
        self._starts: dict[tuple[int, ...], torch.Tensor] = {}
        self._may_skip = torch.device(device).type == "cpu"
        self._nothing_to_do = False

    def adopt(self, layer: BaseLayerWithLoRA) -> None:
        """Prepare a layer that will be given to `add_lora_linear`: its weights are held once."""
        stack(layer)
        slices = getattr(layer, "output_slices", None)
        if isinstance(slices, tuple):
            self._slice_starts(slices)

    def update_metadata(
        self, mapping: Any, lora_index_to_id: list[int | None], max_loras: int, vocab_size: int, **kwargs: Any
    ) -> None:
        """Once a step: which row has which adapter, and the order in which launches take them."""
        super().update_metadata(mapping, lora_index_to_id, max_loras, vocab_size, **kwargs)
        indices = self.token_lora_indices
        rows = indices.shape[0]
        self._row_order[:, : rows + 1].copy_(lora_row_order(indices))
        self._token_lora_indices[rows:].fill_(-1)
        self._sampler_indices[self.sampler_indices.shape[0] :].fill_(-1)
        self._nothing_to_do = self._may_skip and not any(mapping.index_mapping)

    def add_shrink(
        self,
        y: tuple[torch.Tensor, ...] | torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: tuple[torch.Tensor, ...],
        scale: float,
        **kwargs: Any,
    ) -> None:
        """``y[s] = scale * A[s] x`` for each slice s; base rows become 0."""
        x = x.view(-1, x.shape[-1])
        for slice_y, a in zip(y, lora_a_stacked, strict=False):  # a buffer may be of more slices
            low = slice_y.view(-1, slice_y.shape[-1])
            if low.dtype == torch.float32:
                bgmv_shrink(x, a, low, self._rows(x), scale)
            else:
                wide = torch.empty(low.shape, dtype=torch.float32, device=low.device)
                bgmv_shrink(x, a, wide, self._rows(x), scale)
                low.copy_(wide)

    def add_expand(
        self,
        y: torch.Tensor,
        x: tuple[torch.Tensor, ...] | torch.Tensor,
        lora_b_stacked: tuple[torch.Tensor, ...],
        output_slices: tuple[int, ...],
        offset_start: int = 0,
        add_inputs: bool = True,
        **kwargs: Any,
    ) -> None:
        """``y[:, s] (+)= B[s] x[s]`` for each slice s of the columns from ``offset_start`` on."""
        y = y.view(-1, y.shape[-1])
        for low, b, width in zip(x, lora_b_stacked, output_slices, strict=False):
            low = low[..., : b.shape[-1]]  # vLLM to 0.24 gathers as many copies as there are devices
            bgmv_expand_slice(_as_taken(low, b), b, y, self._rows(y), offset_start, width, add_inputs)
            offset_start += width

    def add_lora_embedding(
        self, y: torch.Tensor, x: torch.Tensor, lora_b_stacked: torch.Tensor, add_inputs: bool = True, **kwargs: Any
    ) -> None:
        """``y (+)= B x``, where x are the rows of A that the tokens choose."""
        bgmv_expand(_as_taken(x, lora_b_stacked), lora_b_stacked, y, self._rows(y), add_inputs)

    def add_lora_linear(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: tuple[torch.Tensor, ...],
        lora_b_stacked: tuple[torch.Tensor, ...],
        scale: float,
        output_slices: tuple[int, ...],
        *,
        buffer: tuple[torch.Tensor, ...] | None = None,
        add_inputs: bool = True,
        **kwargs: Any,
    ) -> None:
        """``y[:, s] (+)= scale * B[s] A[s] x`` for each slice s: one operator for all of them up to rank 128."""
        if self._nothing_to_do and not torch.compiler.is_compiling():
            return
        x, y = x.view(-1, x.shape[-1]), y.view(-1, y.shape[-1])
        a, b = stacked(lora_a_stacked, lora_b_stacked)
        if a is not None and a.shape[2] <= MAX_FUSED_RANK:
            out = y if y.shape[1] == b.shape[1] else y[:, : b.shape[1]]
            order = self._row_order.narrow(1, 0, x.shape[0] + 1)
            starts = self._slice_starts(output_slices)
            bgmv_shrink_expand(x, a, b, out, self._rows(x), starts, scale, add_inputs, order)
            return
        rank = lora_b_stacked[0].shape[-1]
        low = [torch.empty(x.shape[0], rank, dtype=torch.float32, device=x.device) for _ in lora_a_stacked]
        self.add_shrink(low, x, lora_a_stacked, scale)
        self.add_expand(y, low, lora_b_stacked, output_slices, add_inputs=add_inputs)

    def add_lora_logits(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: torch.Tensor,
        lora_b_stacked: torch.Tensor,
        scale: float,
        *,
        buffer: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> None:
        """``y += scale * B A x`` of the rows whose next token is drawn."""
        x, y = x.view(-1, x.shape[-1]), y.view(-1, y.shape[-1])
        rows = self._sampler_indices.narrow(0, 0, x.shape[0])
        width = min(y.shape[1], lora_b_stacked.shape[-2])
        b, rank = lora_b_stacked[..., :width, :], lora_b_stacked.shape[-1]
        if rank <= MAX_FUSED_RANK:
            out = y if y.shape[1] == width else y[:, :width]
            bgmv_shrink_expand(x, lora_a_stacked, b, out, rows, self._slice_starts((width,)), scale)
            return
        low = torch.empty(x.shape[0], rank, dtype=torch.float32, device=x.device)
        bgmv_shrink(x, lora_a_stacked, low, rows, scale)
        bgmv_expand_slice(low, b, y, rows, 0, width)

    def _rows(self, tensor: torch.Tensor) -> torch.Tensor:
        """The slot of each row, ``[T]``; -1 for base rows and for those that a graph has added."""
        return self._token_lora_indices.narrow(0, 0, tensor.shape[0])

    def _slice_starts(self, output_slices: tuple[int, ...]) -> torch.Tensor:
        """The first column of each slice, ``[S]``; made once for a layer's sizes."""
        starts = self._starts.get(output_slices)
        if starts is None:
            first = list(itertools.accumulate(output_slices, initial=0))[:-1]
            starts = self._starts[output_slices] = torch.tensor(first, device=self._row_order.device)
        return starts


def wrapper_for_platform(*args: Any, **kwargs: Any) -> Any:
    """The LoRA wrapper of a model, as vLLM calls its class; its own, with a warning, for ranks past 256."""
    own = resolve_obj_by_qualname(own_wrapper())
    if _is_310p():
        warnings.warn(
            "no Triton kernel runs on Ascend 310P, so LoRA stays vllm-ascend's own, which is wrong for base rows of "
            "batches with adapters",
            stacklevel=2,
        )
        return own(*args, **kwargs)
    rank = getattr(kwargs.get("lora_config"), "max_lora_rank", 0)
    if rank > MAX_RANK:
        warnings.warn(
            f"max_lora_rank is {rank}; cold_kernels' operators go up to {MAX_RANK}, so LoRA stays vLLM's own",
            stacklevel=2,
        )
        return own(*args, **kwargs)
    refuse_what_is_ignored()
    _hand_layers_over()
    return _class(own)(*args, **kwargs)


def _is_310p() -> bool:
    """Whether vllm-ascend runs on a 310P, for which it computes LoRA in torch."""
    ascend = sys.modules.get("vllm_ascend.utils")
    return ascend is not None and ascend.get_ascend_device_type() == ascend.AscendDeviceType._310P


@functools.cache
def _class(own: type) -> type:
    return type(f"ColdKernels{own.__name__}", (Operators, own), {"__module__": __name__})


def _hand_layers_over() -> None:
    """Have each layer that is given one of our wrappers adopted by it."""
    given = BaseLayerWithLoRA.set_mapping
    if getattr(given, "hands_over", False):
        return

    @functools.wraps(given)
    def set_mapping(layer: BaseLayerWithLoRA, punica_wrapper: Any) -> None:
        given(layer, punica_wrapper)
        if isinstance(punica_wrapper, Operators):
            punica_wrapper.adopt(layer)

    set_mapping.hands_over = True
    BaseLayerWithLoRA.set_mapping = set_mapping


def _as_taken(low: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Rows ``[T, R]`` in a type that expand takes beside these weights."""
    low = low.view(-1, low.shape[-1])
    return low if low.dtype in (torch.float32, b.dtype) else low.float()
