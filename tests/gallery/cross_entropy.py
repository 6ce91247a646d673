"""Cross entropy: the loss of rows that fit a tile, and loss and gradient of rows that do not."""

import torch
import triton
import triton.language as tl

from .example import BF16, FLOATS, FP16, FP32, Example, ExampleLaunch, Maker, U, blank, stored, tile_for

IGNORED = -100


@triton.jit
def cross_entropy(x_ptr, label_ptr, loss_ptr, V, TILE: tl.constexpr):
    row, o_v = tl.program_id(0), tl.arange(0, TILE)
    label = tl.load(label_ptr + row)
    x = tl.load(x_ptr + row * V + o_v, mask=o_v < V, other=float("-inf")).to(tl.float32)
    largest = tl.max(x, axis=0)
    total = tl.log(tl.sum(tl.exp(x - largest), axis=0)) + largest
    if label == -100:
        tl.store(loss_ptr + row, 0.0)
    else:
        tl.store(loss_ptr + row, total - tl.load(x_ptr + row * V + label).to(tl.float32))


@triton.jit
def cross_entropy_by_comparing(x_ptr, label_ptr, loss_ptr, V, TILE: tl.constexpr):
    row, o_v = tl.program_id(0), tl.arange(0, TILE)
    label = tl.load(label_ptr + row)
    x = tl.load(x_ptr + row * V + o_v, mask=o_v < V, other=float("-inf")).to(tl.float32)
    largest = tl.max(x, axis=0)
    total = tl.log(tl.sum(tl.exp(x - largest), axis=0)) + largest
    tl.store(loss_ptr + row, total - tl.sum(tl.where(o_v == label, x, 0.0), axis=0))


@triton.jit
def cross_entropy_with_gradient(x_ptr, label_ptr, loss_ptr, gradient_ptr, V, TILE: tl.constexpr):
    row, o_v = tl.program_id(0).to(tl.int64), tl.arange(0, TILE)
    label = tl.load(label_ptr + row)
    largest, total = float("-inf"), 0.0
    for start in range(0, V, TILE):
        x = tl.load(x_ptr + row * V + start + o_v, mask=start + o_v < V, other=float("-inf")).to(tl.float32)
        now = tl.maximum(largest, tl.max(x, axis=0))
        total = total * tl.exp(largest - now) + tl.sum(tl.exp(x - now), axis=0)
        largest = now
    logarithm = largest + tl.log(total)
    tl.store(loss_ptr + row, logarithm - tl.load(x_ptr + row * V + label).to(tl.float32))
    for start in range(0, V, TILE):
        mask = start + o_v < V
        x = tl.load(x_ptr + row * V + start + o_v, mask=mask, other=float("-inf")).to(tl.float32)
        gradient = tl.exp(x - logarithm) - tl.where(start + o_v == label, 1.0, 0.0)
        tl.store(gradient_ptr + row * V + start + o_v, gradient.to(gradient_ptr.dtype.element_ty), mask=mask)


def example(kernel, rows: int, v: int, dtype: torch.dtype, tile: int, ignored: bool = False) -> Example:
    x = (3 * torch.randn(rows, v)).to(dtype)
    labels = torch.randint(0, v, (rows,))
    labels[0] = v - 1
    if ignored:
        labels[1] = IGNORED
    exact = x.double()
    total = exact.logsumexp(1)
    loss, reference = blank(rows), torch.nn.functional.cross_entropy(exact, labels, reduction="none")
    # Relative: exponentials of x - max, any order of their sum, a rescaling for every tile; then the logarithm.
    spread = exact.amax(1) - exact.amin(1)
    inside = (2 * spread + v + 4 * (v // tile + 1)) * U
    bound = inside + U * ((total - exact.amax(1)).abs() + total.abs() + reference.abs() + 1)
    args, expected = [x, labels, loss, v], [(loss, reference, bound)]
    if kernel is cross_entropy_with_gradient:
        gradient, p = blank(rows, v, dtype=dtype), exact.softmax(1)
        exact_gradient = p - torch.nn.functional.one_hot(labels, v)
        off = p * (bound[:, None] + 2 * U * (1 + (exact - total[:, None]).abs())) + U * exact_gradient.abs()
        args.insert(3, gradient)
        expected.append((gradient, exact_gradient, off + stored(exact_gradient, dtype)))
    return Example([ExampleLaunch(kernel, args, dict(TILE=tile), (rows,))], expected)


EXAMPLES: dict[str, Maker] = {
    **{f"loss-{n}-4x1000": lambda d=d: example(cross_entropy, 4, 1000, d, 1024, True) for n, d in FLOATS.items()},
    "loss-fp32-3x17": lambda: example(cross_entropy, 3, 17, FP32, 32, True),
    "by_comparing-fp32-2x1000": lambda: example(cross_entropy_by_comparing, 2, 1000, FP32, 1024),
    "by_comparing-fp16-2x4096": lambda: example(cross_entropy_by_comparing, 2, 4096, FP16, tile_for(4096)),
    "gradient-fp32-2x1000": lambda: example(cross_entropy_with_gradient, 2, 1000, FP32, 256),
    "gradient-bf16-2x5003": lambda: example(cross_entropy_with_gradient, 2, 5003, BF16, 2048),
    "gradient-fp32-1x32000": lambda: example(cross_entropy_with_gradient, 1, 32000, FP32, 4096),
}
