"""Device times that others published for vector kernels, and what the model says of the same kernels in Triton.

`ROWS` are AscendC samples that Triton can express, `LEFT_OUT` are the ones that it cannot, and why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..ascend.chips import Chip, chip_named

SAMPLES = "cannmirror/asc-devkit 0da921b9, examples/01_simd_cpp_api/05_best_practices"
ADD = f"{SAMPLES}/00_vector_compute/add_high_performance, msprof Task Duration, Atlas A2 training"
COPY = f"{SAMPLES}/04_memory_access/data_copy, msprof Task Duration, Atlas A2/A3"
FRACTALS = f"{SAMPLES}/04_memory_access/bank_conflict_nd2nz, msprof Task Duration, Atlas A2/A3"

BANKS = f"{SAMPLES}/04_memory_access/bank_conflict_ub, GetSystemCycle at 50 MHz, Atlas A2/A3"

SIGNATURES = {
    "add": {"x_ptr": "*fp16", "y_ptr": "*fp16", "z_ptr": "*fp16", "rows": "i32"},
    "read": {"x_ptr": "*fp16", "y_ptr": "*fp16", "keep": "i32"},
    "read_small": {"x_ptr": "*fp16", "y_ptr": "*fp16", "keep": "i32"},
    "to_fractals": {"x_ptr": "*fp16", "z_ptr": "*fp16"},
    "add_again": {"x_ptr": "*fp32", "y_ptr": "*fp32", "times": "i32"},
}


@dataclass(frozen=True)
class PublishedRow:
    """One published time.

    Args:
        name: What it is called in reports.
        kernel: A function of `kernels`.
        constants: Its compile-time arguments.
        sizes: Elements of each pointer's tensor, then the numbers, in order.
        programs: Cores that the published kernel ran on, one program each.
        published_us: Task duration in microseconds, or time in the kernel; measured by others on a device.
        source: Where it is published.
        alike: Whether all programs do the same, so that one of them tells the time of all.
        multi_buffer: Whether loads in loops are double-buffered.
        explanation: What is known to differ between the published kernel, or its chip, and what is modelled.
        in_kernel: Whether the time was taken by the kernel itself, without the launch.
        chip: What it ran on, as far as that was said.
    """

    name: str
    kernel: str
    constants: Mapping[str, Any]
    sizes: tuple[int, ...]
    programs: int
    published_us: float
    source: str
    alike: bool = False
    multi_buffer: bool = False
    explanation: str = ""
    in_kernel: bool = False
    chip: str = field(default="Ascend910B1", kw_only=True)

    def simulated(self, chip: Chip | None = None):
        """The `Simulation` of the row on its chip, or on ``chip``.

        Raises:
            ToolchainMissing: the compiler is not installed.
            AscendError: the kernel does not compile, or does what the simulator refuses.
        """
        import torch

        from ..ascend.options import CompileOptions
        from ..ascend.simulator import simulate
        from ..ascend.toolchain import compile_kernel
        from ..dtypes import TORCH
        from . import kernels

        chip = chip or chip_named(self.chip)
        signature = SIGNATURES[self.kernel]
        options = CompileOptions(multi_buffer=self.multi_buffer)
        kernel = getattr(kernels, self.kernel)
        program = compile_kernel(kernel, signature, dict(self.constants), chip=self.chip, options=options)
        args = [
            torch.empty(size, dtype=TORCH[kind[1:]]) if kind.startswith("*") else size  # never touched
            for kind, size in zip(signature.values(), self.sizes, strict=True)
        ]
        programs = 1 if self.alike else self.programs
        run = simulate(program, args, (programs,), chip=chip, values=False)
        return on_cores(run, self.programs) if self.alike else run

    def predicted_us(self, run) -> float:
        """What of a `Simulation` is to be compared with ``published_us``."""
        return run.cycles / run.chip.frequency * 1e6 if self.in_kernel else run.microseconds


def on_cores(run, count: int):
    """A launch of one program as one of ``count`` programs that each do the same to data of their own."""
    from ..ascend.simulator.timing.cores import timed

    one = run.execution
    if len(one.programs) != 1:
        raise ValueError(f"a launch of {len(one.programs)} programs is no single program")
    many = replace(
        one,
        programs=one.programs * count,
        bytes_read=one.bytes_read * count,
        bytes_written=one.bytes_written * count,
        unique_bytes=one.unique_bytes * count,
    )
    return timed(many, run.chip)


MATRIX, LARGE = 8192 * 8192, 12288 * 12288
SAME_BUFFER = "the compiler puts the sum where x was, so a load waits for the last store; the sample has a third buffer"


def _add(name: str, programs: int, tile: int, published_us: float, explanation: str, **options) -> PublishedRow:
    constants = dict(COLUMNS=8192, TILE=tile)
    return PublishedRow(
        name, "add", constants, (MATRIX, MATRIX, MATRIX, 8192), programs, published_us, ADD,
        explanation=explanation, **options,
    )  # fmt: skip


def _read(name: str, tile: tuple[int, int], published_us: float, explanation: str = "", **sizes) -> PublishedRow:
    constants = dict(ROWS=256, COLUMNS=12288, TILE_M=tile[0], TILE_N=tile[1], PARTS=1, TIMES=1, BUFFERS=1) | sizes
    alike = constants["TIMES"] == 1  # what is read again is found in the cache or not by what all programs read
    return PublishedRow(
        name, "read", constants, (LARGE, 1 << 17, 0), 48, published_us, COPY,
        alike=alike, multi_buffer=constants["BUFFERS"] > 1, explanation=explanation,
    )  # fmt: skip


ROWS = (
    _add("Add 8 KB copies, 1 core", 1, 4096, 6909.6, SAME_BUFFER),
    _add("Add 8 KB copies, 48 cores", 48, 4096, 306.58, SAME_BUFFER),
    _add("Add 32 KB copies, 48 cores", 48, 16384, 268.5, SAME_BUFFER),
    _add("Add 32 KB copies, 48 cores, double buffer", 48, 16384, 264.02, "", multi_buffer=True),
    PublishedRow(
        "DataCopy 128 B",
        "read_small",
        dict(ROWS=256, COLUMNS=12288, TILE=64, BUFFERS=4),
        (LARGE, 1 << 17, 0),
        48,
        564.84,
        COPY,
        alike=True,
        multi_buffer=True,
        explanation="eight copies between two flags, four buffers each; the sample has no flag at all",
    ),
    _read("DataCopy 64 x 128 B", (64, 64), 233.54, "eight buffers; the sample has no flag at all", BUFFERS=8),
    _read("DataCopy 64 x 2 KB", (64, 1024), 215.82),
    _read("DataCopy 64 x 2 KB, rows of 12287", (64, 1024), 275.3, COLUMNS=12287),
    _read("DataCopy 64 x 2 KB, all of 302 MB four times", (64, 1024), 828.06, TIMES=4),
    _read("DataCopy 64 x 2 KB, each 75 MB four times", (64, 1024), 365.74, PARTS=4, TIMES=4),
    PublishedRow(
        "ND to NZ 8192 x 8192",
        "to_fractals",
        dict(ROWS=8192, COLUMNS=8192, TILES=11, TILE_M=128, TILE_N=128),
        (MATRIX, MATRIX),
        48,
        144.0,
        FRACTALS,
        multi_buffer=True,
        explanation="tiles of 128 rows, as Triton has no 144; the sample without bank conflicts",
    ),
    PublishedRow(
        "Add 4096 fp32 a thousand times, sources in the same banks",
        "add_again",
        dict(SIZE=4096),
        (4096, 4096, 1000),
        1,
        4167 / 50,
        BANKS,
        explanation="cycles beyond the repeats are fitted to the same sample's additions without conflicts",
        in_kernel=True,
    ),
)

LEFT_OUT = {
    "Add, scalar, 1 core, 1239689.1 us": "Triton has no loop over single elements of a loaded tile that reads and "
    "writes the unified buffer; its 34 cycles an element bound `scalar_local`",
    "Add, L2 bypass, 187.68 and 184.52 us": "loads that allocate nothing in the second-level cache; Triton has no word",
    "DataCopy by all cores from one matrix, 539.42 and 328.88 us": "the same bypass, with conflicts on an address",
    "DataCopy to L1, five rows": "the cube core's memory",
    "ND to NZ with bank conflicts, 151.42 us": "where a buffer lies is the compiler's choice",
    "ascend-rs, FlagGems, Liger and eager torch times": "wall times with the host in them, or kernels that are not "
    "published with them",
}
"""Published times of vector kernels that are not rows, with the reason."""
