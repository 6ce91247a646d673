"""The weights of layers that vLLM has merged (q, k, v; gate, up), held once: its tensors become views of one."""

import torch


def stack(layer: torch.nn.Module) -> None:
    """Make the slices' weights of a LoRA layer views of one tensor each for A and B.

    vLLM writes adapters into its tensors and so into these. Layers of one slice, of slices with other ranks or
    input sizes, and layers whose weights are not a tensor a slice (experts, embeddings) stay as they are.
    """
    a, b = getattr(layer, "lora_a_stacked", None), getattr(layer, "lora_b_stacked", None)
    if not isinstance(a, tuple) or not isinstance(b, tuple) or len(a) != len(b) or len(a) < 2:
        return
    if any(each.dim() != 4 or each.shape != a[0].shape for each in a):
        return
    if any(each.dim() != 4 or each.shape[-1] != b[0].shape[-1] for each in b):
        return
    whole_a = torch.cat(a, 1)
    whole_b = torch.cat(b, 2)
    layer.lora_a_stacked = tuple(whole_a.split(1, 1))
    layer.lora_b_stacked = tuple(whole_b.split([each.shape[2] for each in b], 2))


def stacked(
    a: tuple[torch.Tensor, ...], b: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, torch.Tensor] | tuple[None, None]:
    """The tensors that `stack` made these views of: A ``[L, S, R, H]`` and B ``[L, D, R]``; None where it made none.

    It looks at sizes and strides alone, so that it can be traced into a graph.
    """
    slots, _, rank, hidden = a[0].shape
    slices, width = len(a), sum(each.shape[2] for each in b)
    if slices > 1 and (a[0].stride(0) != slices * rank * hidden or b[0].stride(0) != width * b[0].shape[3]):
        return None, None
    lora_a = a[0].as_strided((slots, slices, rank, hidden), (slices * rank * hidden, rank * hidden, hidden, 1))
    lora_b = b[0].as_strided((slots, width, b[0].shape[3]), (width * b[0].shape[3], b[0].shape[3], 1))
    return lora_a, lora_b
