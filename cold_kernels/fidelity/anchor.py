"""One number for the LoRA scheme of vllm-ascend: what it adds to a token of Qwen2.5-7B, modelled and reported."""

from dataclasses import dataclass

from ..ascend.chips import Chip, chip_named

LAYERS, RANK, HIDDEN, KEYS, INNER = 28, 64, 3584, 512, 18944
MODULES = (
    (HIDDEN, HIDDEN), (HIDDEN, KEYS), (HIDDEN, KEYS), (HIDDEN, HIDDEN),
    (HIDDEN, INNER), (HIDDEN, INNER), (INNER, HIDDEN),
)  # fmt: skip
"""Inputs and outputs of q, k, v, o, gate, up and down; each takes a shrink and an expand."""

REPORTED_MS = 1000 / 29.4 - 1000 / 52.5
SOURCE = (
    "vllm-project/vllm-ascend#3930: one 910B, Qwen2.5-7B-Instruct fp16, max_lora_rank 64, v0.11.0rc0 with the AscendC "
    "kernels: 52.5 tokens/s without LoRA, 29.4 with it; the difference holds the host's work too"
)
SHRINK_TILE, EXPAND_TILE = 11776, 8192
"""Elements a copy, as in the kernels' sources; a hidden size that fits in one is copied whole."""
SHRINK = {"x_ptr": "*fp16", "a_ptr": "*fp16", "y_ptr": "*fp32", "idx_ptr": "*i64", "scale": "fp32"}
SHRINK |= dict.fromkeys(("x_stride_T", "a_stride_L", "a_stride_R", "y_stride_T"), "i32")
EXPAND = {"b_ptr": "*fp16", "x_ptr": "*fp32", "y_ptr": "*fp16", "idx_ptr": "*i64"}
EXPAND |= dict.fromkeys(("b_stride_L", "b_stride_H", "x_stride_T", "y_stride_T"), "i32")
"""Types of the kernels' arguments."""


@dataclass(frozen=True)
class Anchor:
    """Milliseconds a token: modelled launches of the scheme, and the difference that was reported.

    Args:
        simulated_ms: All launches, one after the other.
        launch_ms: The part of it that is the launches' fixed cost.
        launches: Shrinks and expands of all layers.
        bytes_moved: By all of them.
    """

    simulated_ms: float
    launch_ms: float
    launches: int
    bytes_moved: int
    reported_ms: float = REPORTED_MS
    source: str = SOURCE

    @property
    def ratio(self) -> float:
        return self.simulated_ms / self.reported_ms


def anchor(chip: Chip | None = None) -> Anchor:
    """One decoded row, every module with an adapter of rank 64, on one core a launch.

    Raises:
        ToolchainMissing: the compiler is not installed.
    """
    chip = chip or chip_named("Ascend910B3")
    runs = {}
    for hidden, out in MODULES:
        runs.setdefault(("shrink", hidden), _shrink(hidden, chip))
        runs.setdefault(("expand", out), _expand(out, chip))
    calls = [call for hidden, out in MODULES for call in (("shrink", hidden), ("expand", out))] * LAYERS
    return Anchor(
        sum(runs[call].microseconds for call in calls) / 1e3,
        len(calls) * chip.constants["launch_us"] / 1e3,
        len(calls),
        sum(runs[call].bytes_read + runs[call].bytes_written for call in calls),
    )


def _shrink(hidden: int, chip: Chip):
    import torch

    from .one_core_per_token import shrink

    args = [torch.zeros(1, hidden).half(), torch.zeros(1, RANK, hidden).half(), torch.zeros(1, RANK)]
    constants = dict(H=hidden, R=RANK, TILE=min(hidden, SHRINK_TILE))
    strides = [hidden, RANK * hidden, hidden, RANK]
    return _simulated(shrink, SHRINK, constants, [*args, torch.zeros(1, dtype=torch.int64), 1.0, *strides], chip)


def _expand(out: int, chip: Chip):
    import torch

    from .one_core_per_token import expand

    args = [torch.zeros(1, out, RANK).half(), torch.zeros(1, RANK), torch.zeros(1, out).half()]
    constants = dict(H=out, R=RANK, TILE=EXPAND_TILE)
    strides = [out * RANK, RANK, RANK, out]
    return _simulated(expand, EXPAND, constants, [*args, torch.zeros(1, dtype=torch.int64), *strides], chip)


def _simulated(kernel, types: dict, constants: dict, args: list, chip: Chip):
    from ..ascend.options import CompileOptions
    from ..ascend.simulator import simulate
    from ..ascend.toolchain import compile_kernel

    options = CompileOptions(multi_buffer=False)
    program = compile_kernel(kernel, types, constants, chip=chip.name, options=options)
    return simulate(program, args, (1,), chip=chip, values=False)
