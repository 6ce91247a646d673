"""The Atlas A2 and A3 chips in numbers, each with where it comes from and how far it is known.

Few of the constants below are published. A constant without a public figure has an interval that the sources
allow and a nominal value inside it; `Chip.plausible` draws chips from the intervals, and a tuning result
counts only where it holds on nearly all of them.
"""

import functools
import math
import random
from dataclasses import dataclass, field, replace

KIB = 1024
UB_BYTES = 192 * KIB

INI = "CANN platform_config Ascend910B3.ini"
MSKPP = "Huawei MindStudio msKPP, measured instruction tables of 910B1 and 910B3 (Mulan PSL v2)"
THROUGHPUT = "AscendC documentation, theoretical throughput of vector instructions for A2/A3"
SAMPLES = "AscendC sample data_copy, published msprof times"
NONE = "no public figure; the interval is a judgement"


@dataclass(frozen=True)
class Constant:
    """A figure of the chip: nominal value, the interval that sources allow, unit and source."""

    nominal: float
    low: float
    high: float
    unit: str
    source: str

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.nominal <= self.high:
            raise ValueError(f"{self.nominal} is not within {self.low} to {self.high}, or not above 0")

    def at(self, quantile: float) -> float:
        """The value at a quantile of the interval, uniform in the logarithm."""
        return math.exp(math.log(self.low) + quantile * (math.log(self.high) - math.log(self.low)))


CONSTANTS = {
    # Copies. The 910B1 table of msKPP saturates at 46.8 B/cycle, the 910B3 table follows 193 + bytes / 126.
    "load_rate": Constant(64, 32, 126, "B/cycle", f"{MSKPP}: 46.8 on 910B1, 126 on 910B3; {INI}: ddr_read 32"),
    "load_latency": Constant(240, 190, 500, "cycle", f"{MSKPP}: 193 for a copy alone; HBM misses add to it"),
    "load_issue": Constant(40, 20, 193, "cycle", f"{SAMPLES}: 20.6 a copy of 128 B; {MSKPP}: 193 back to back"),
    "store_rate": Constant(66, 47, 86, "B/cycle", f"{MSKPP}: 66 on 910B1; {INI}: l2_write 86"),
    "store_latency": Constant(160, 83, 300, "cycle", f"{MSKPP}: 150 for a copy alone"),
    "store_issue": Constant(40, 20, 150, "cycle", f"as load_issue; {MSKPP}: 150 back to back"),
    "burst": Constant(5, 1, 20, "cycle", f"{SAMPLES}: at most 20.6 for a burst and its copy"),
    "local_rate": Constant(180, 128, 263, "B/cycle", f"{MSKPP}: 263 UB to UB; its theoretical table: 128"),
    # Vector instructions, per 256-byte repeat.
    "vector_issue": Constant(3, 2, 4, "cycle", f"{MSKPP}: 3.03 for one repeat, back to back"),
    "vector_drain": Constant(24, 14, 45, "cycle", "AscendC bank-conflict sample: 24 beyond 1 a repeat"),
    "repeat_unary": Constant(1, 1, 1.1, "cycle", f"{THROUGHPUT}; {MSKPP}"),
    "repeat_binary": Constant(1.5, 1, 2.2, "cycle", f"{THROUGHPUT}: 1; {MSKPP}: 2; AscendC Add sample: 2.2"),
    "repeat_2": Constant(2, 2, 2.2, "cycle", f"{THROUGHPUT}; {MSKPP}: exp, ln, sqrt of fp32"),
    "repeat_4": Constant(4, 4, 4.4, "cycle", f"{THROUGHPUT}; {MSKPP}: div of fp32; exp, ln, sqrt of fp16"),
    "repeat_sum": Constant(3, 3, 7, "cycle", f"{MSKPP}: vcadd fp32 3; fp16 7; {THROUGHPUT}: 7"),
    "repeat_extreme": Constant(7, 7, 7.5, "cycle", f"{MSKPP}: vcmax, vcmin"),
    "repeat_gather": Constant(14, 12, 24, "cycle", f"{MSKPP}: vgather, vreducev2"),
    # The scalar unit.
    "scalar": Constant(1.4, 1, 2, "cycle", NONE),
    "scalar_issue": Constant(4, 1, 10, "cycle", f"{NONE}: operands and masks of an instruction"),
    "scalar_local": Constant(10, 4, 30, "cycle", f"{NONE}: a scalar access to the unified buffer"),
    "scalar_global": Constant(120, 30, 500, "cycle", f"{NONE}: a scalar load through the data cache"),
    "flag": Constant(10, 2, 50, "cycle", NONE),
    # Everything around the program.
    "launch_us": Constant(10, 2.5, 21, "us", "AscendC guide 3.5.2: 20 to 21 with all cores; published kernels: 2.5"),
    "hbm_share": Constant(0.88, 0.8, 1.0, "1", f"{SAMPLES}: 1.49 of 1.8 TB/s; 1.6 quoted elsewhere"),
    "l2_ratio": Constant(3, 2, 5, "1", "L2 over HBM: 2 measured and 4.5 theoretical (msKPP), 5 (MindSpore DVM)"),
}


@dataclass(frozen=True)
class Chip:
    """A chip to time programs on.

    Args:
        name: The compiler's name of it.
        cube_cores: Matrix cores; ``vector_cores`` is twice that.
        frequency: Clock of the cores, Hz.
        hbm_peak: Quoted bandwidth of global memory, bytes per second.
        constants: What is known only within an interval, by the names of `CONSTANTS`.
    """

    name: str
    cube_cores: int
    frequency: float
    hbm_peak: float
    constants: dict[str, float] = field(
        default_factory=lambda: {name: constant.nominal for name, constant in CONSTANTS.items()}, compare=False
    )

    @property
    def vector_cores(self) -> int:
        return 2 * self.cube_cores

    @property
    def hbm_bytes_per_second(self) -> float:
        """Bandwidth of global memory that a kernel on all cores can reach."""
        return self.hbm_peak * self.constants["hbm_share"]

    @property
    def l2_bytes_per_second(self) -> float:
        return self.hbm_bytes_per_second * self.constants["l2_ratio"]

    def plausible(self, count: int = 32, seed: int = 0) -> list["Chip"]:
        """``count`` chips with every uncertain constant drawn from its interval, the same for the same seed.

        Each constant's interval is cut into ``count`` strata, one for each chip, so that few chips cover it.
        """
        draw = random.Random(f"{self.name}/{count}/{seed}")
        strata = {name: draw.sample(range(count), count) for name in CONSTANTS}
        return [
            replace(
                self,
                constants={
                    name: constant.at((strata[name][chip] + draw.random()) / count)
                    for name, constant in CONSTANTS.items()
                },
            )
            for chip in range(count)
        ]


A2_B1 = dict(cube_cores=24, frequency=1.85e9, hbm_peak=1.8e12)
A2_B2 = dict(cube_cores=24, frequency=1.8e9, hbm_peak=1.8e12)
A2_B3 = dict(cube_cores=20, frequency=1.8e9, hbm_peak=1.8e12)
A2_B4 = dict(cube_cores=20, frequency=1.5e9, hbm_peak=0.8e12)
A3_24 = dict(cube_cores=24, frequency=1.85e9, hbm_peak=1.8e12)
A3_20 = dict(cube_cores=20, frequency=1.85e9, hbm_peak=1.8e12)

CHIPS = {
    name: Chip(name, **figures)
    for name, figures in {
        "Ascend910B1": A2_B1,
        "Ascend910B2": A2_B2,
        "Ascend910B2C": A2_B2,
        "Ascend910B3": A2_B3,
        "Ascend910B4": A2_B4,
        "Ascend910B4-1": A2_B4,
        "Ascend910_9362": A3_20,
        "Ascend910_9372": A3_20,
        "Ascend910_9381": A3_24,
        "Ascend910_9382": A3_24,
        "Ascend910_9391": A3_24,
        "Ascend910_9392": A3_24,
    }.items()
}
"""Core counts are the compiler's own (``dlti.target_system_spec``); clock and bandwidth are quoted per SKU."""


@functools.cache
def chip_named(name: str) -> Chip:
    """The chip of that name.

    Raises:
        ValueError: there is none; the message lists them.
    """
    if name not in CHIPS:
        raise ValueError(f"unknown chip {name!r}; use one of {', '.join(CHIPS)}")
    return CHIPS[name]
