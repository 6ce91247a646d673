"""The Atlas A2 and A3 chips in numbers, each with where it comes from and how far it is known.

Few of the constants below are published. A constant without a public figure has an interval that the sources
allow and a nominal value inside it; `Chip.plausible` draws chips from the intervals, and a tuning result
counts only where it holds on nearly all of them. A chip file holds a chip with constants of its own, as measured.
"""

import functools
import json
import math
import random
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..files import write_whole

KIB = 1024
UB_BYTES = 192 * KIB
L1_BYTES, L0_BYTES, L0C_BYTES = 512 * KIB, 64 * KIB, 128 * KIB
"""Of a cube core (``dlti.target_system_spec``); L0A and L0B have the same size."""
L2_BYTES, MAX_CORES = 192 * KIB * KIB, 48
"""Of most chips: what decides, once for all of them, whether data is still in the second-level cache."""

INI = "CANN platform_config Ascend910B3.ini"
MSKPP = "Huawei MindStudio msKPP, measured instruction tables of 910B1 and 910B3 (Mulan PSL v2)"
THROUGHPUT = "AscendC documentation, theoretical throughput of vector instructions for A2/A3"
SAMPLES = "AscendC samples data_copy and add_high_performance, published msprof times"
BANKS = "AscendC sample bank_conflict_ub"
NONE = "no public figure; the interval is a judgement"
REFIT = f"{MSKPP}, by python -m tuner refit"
ROWS = "published times of kernels, by python -m tuner refit"
TABLES = "msKPP's tables, fitted by hand"
TTIR = "triton-ascend, cost model of TTIR (costmodel/configs/ascend_910b.json)"
CANN = "CANN, model of fused kernels (hicann/ge, perf_param_v1.cpp)"


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
    # Copies. A copy that misses the second-level cache is held to fewer bytes a cycle than one that hits it.
    "load_rate": Constant(
        62, 46.7, 64, "B/cycle", f"{REFIT}: 46.7, 910B1, hit or miss not said; {ROWS}; {INI}: ddr_read 32"
    ),
    "load_rate_l2": Constant(120, 86, 128, "B/cycle", f"{REFIT}: 910B3, 107 to 128, error 2.2 %; {INI}: l2_read 110"),
    "load_latency": Constant(195, 170, 500, "cycle", f"{REFIT}: 193 to 237 a copy, less issue and burst; misses add"),
    "load_first": Constant(
        1650, 880, 3150, "cycle", f"{CANN}: 882 + 16 a core for small copies, 1575 + 33 a core for large ones"
    ),
    "load_issue": Constant(15, 10, 30, "cycle", f"{SAMPLES}: 20.6 a copy of 128 B, its burst included"),
    "store_rate": Constant(84, 66, 86, "B/cycle", f"{REFIT}: 65.9, 910B1; {ROWS}; {INI}: l2_write 86"),
    "store_latency": Constant(115, 83, 300, "cycle", f"{REFIT}: 138 a copy, less issue and burst"),
    "store_issue": Constant(15, 10, 60, "cycle", "as load_issue; no sample of its own, so that more is allowed"),
    "burst": Constant(5.8, 2.3, 8.3, "cycle", f"{ROWS}; {SAMPLES}: at most 8.3 for one of 64 bursts of 128 B"),
    "local_rate": Constant(256, 128, 263, "B/cycle", f"{REFIT}: 263 UB to UB, error 0.1 %; its theoretical table: 128"),
    # Vector instructions, per 256-byte repeat.
    "vector_issue": Constant(3.04, 2.98, 4.07, "cycle", f"{REFIT}: one repeat, 118 tables, error 0.4 %"),
    "vector_drain": Constant(23, 20, 28, "cycle", f"{BANKS}: 24 beyond 1 a repeat; {CANN}: 20 to 23, exp 28; {ROWS}"),
    "repeat_unary": Constant(1.0, 0.98, 1.05, "cycle", f"{REFIT}: 59 tables, error 0.1 %; {THROUGHPUT}: 1"),
    "repeat_binary": Constant(2.0, 1.8, 2.2, "cycle", f"{REFIT}: 25 tables, error 0.1 %; {BANKS}: 1.8 to 2.0"),
    "repeat_2": Constant(2.0, 2.0, 2.2, "cycle", f"{REFIT}: exp, ln, sqrt of fp32, error 0.1 %; {THROUGHPUT}"),
    "repeat_4": Constant(4.0, 3.9, 4.4, "cycle", f"{REFIT}: div; exp, ln, sqrt of fp16, error 2.6 %; {THROUGHPUT}"),
    "repeat_sum": Constant(3, 3, 7, "cycle", f"{REFIT}: vcadd fp32, error 0.1 %; {THROUGHPUT}: 7"),
    "repeat_extreme": Constant(7, 6.8, 7.5, "cycle", f"{REFIT}: vcmax, vcmin; sums of fp16, 8 tables, error 0.1 %"),
    "short_row": Constant(20.8, 18.8, 23, "cycle", f"{ROWS}: 65 of vllm-ascend #9601; no table has it"),
    "repeat_gather": Constant(12.3, 12, 14.1, "cycle", f"{REFIT}: 64 elements of vgather 12.3, of vreducev2 14"),
    # The scalar unit.
    "scalar": Constant(1.3, 1, 2, "cycle", ROWS),
    "scalar_divide": Constant(7.5, 1, 60, "cycle", f"{ROWS}: int64 loops"),
    "scalar_issue": Constant(4, 1, 10, "cycle", f"{NONE}: operands and masks of an instruction"),
    "scalar_local": Constant(
        7.7, 4, 12, "cycle", f"{ROWS}; {SAMPLES}: 34 for three accesses, four operations and a loop"
    ),
    "scalar_global": Constant(37, 9, 60, "cycle", f"{ROWS}: a scalar access that the data cache has"),
    "scalar_miss": Constant(85, 60, 330, "cycle", f"{ROWS}: more for a line that it has not"),
    "scalar_first": Constant(820, 400, 1120, "cycle", f"{ROWS}: more for the first line of a tensor"),
    "flag": Constant(18, 2, 40, "cycle", ROWS),
    # Everything around the program.
    "launch_us": Constant(0.8, 0.5, 1.3, "us", f"{ROWS}: 1.3 to 1.5 for the smallest kernels"),
    "dispatch_us": Constant(0.0706, 0.061, 0.08, "us", f"{ROWS}; 0.072 by FlagGems-vllm #816 and vllm-ascend #7496"),
    "program_us": Constant(0.1, 0.05, 0.4, "us", ROWS),
    "hbm_share": Constant(
        0.793, 0.75, 0.86, "1", f"{ROWS}; {SAMPLES}: 1.48, 1.49, 1.53 of 1.8 TB/s; guide 3.5.2: 0.8 of 0.8"
    ),
    "l2_ratio": Constant(
        5.2, 3.6, 5.5, "1", f"{ROWS}; L2 over HBM: 5.2 TB/s in the guide; 2 (msKPP), 4.2 (data_copy), 5 (DVM)"
    ),
}

CUBE_CONSTANTS = {
    # Copies of the cube core.
    "l1_rate": Constant(80, 60, 128, "B/cycle", f"{TTIR}: HBM to L1 135 GB/s on one core"),
    "l1_rate_l2": Constant(174, 110, 256, "B/cycle", f"{TABLES}: 910B3, error 9 %; {TTIR}: 221 GB/s; {INI}: 110"),
    "l1_latency": Constant(190, 150, 500, "cycle", f"{TABLES}: 206 a copy, less issue; misses add"),
    "l1_issue": Constant(15, 10, 30, "cycle", "as load_issue"),
    "l1_row": Constant(2, 1, 8.3, "cycle", f"{NONE}: a row of nd2nz; at most a burst of a vector core's copy"),
    "l1_fill_rate": Constant(128, 32, 256, "B/cycle", f"{NONE}; {INI}: ub to l1 128"),
    "fix_rate": Constant(118, 70, 128, "B/cycle", f"{TABLES}: 910B1, 64 KB; {TTIR}: 70 GB/s; {INI}: l2_write 86"),
    "fix_issue": Constant(15, 10, 60, "cycle", "as store_issue"),
    "fix_row": Constant(1, 0.5, 8.3, "cycle", f"{NONE}: a row of nz2nd"),
    "fix_latency": Constant(75, 50, 300, "cycle", f"{TABLES}: 80 to 85 a copy of 1 to 8 KB"),
    # Within the core.
    "l0_issue": Constant(4, 2, 15, "cycle", f"{TABLES}: L1 to L0A 4, L1 to L0B 2, both of 910B1"),
    "l0a_rate": Constant(256, 245, 512, "B/cycle", f"{TABLES}: 262; {TTIR}: 441 GB/s; {INI}: 512"),
    "l0b_rate": Constant(131, 122, 256, "B/cycle", f"{TABLES}: 131; {TTIR}: 220 GB/s; {INI}: 256"),
    "l0_latency": Constant(20, 5, 60, "cycle", NONE),
    "multiply_issue": Constant(2.5, 2, 5, "cycle", f"{TABLES}: MMAD, 910B1, back to back, 2.0 to 2.9"),
    "multiply_block": Constant(1.0, 1.0, 1.05, "cycle", f"{INI}: 16 x 16 x 16 of fp16; {TABLES}: MMAD, error 2 %"),
    "multiply_block_f32": Constant(2.0, 2.0, 4.2, "cycle", f"{NONE}: fp32 at a quarter of the rate of fp16"),
    "multiply_latency": Constant(21, 18, 28, "cycle", f"{TABLES}: MMAD, 910B3, 23 + 1 a block, less issue"),
    # Between cores.
    "counter": Constant(120, 30, 600, "cycle", f"{NONE}: a flag from one core of a group to the others"),
    "mixed_us": Constant(0.5, 0.1, 3, "us", f"{NONE}: more for a launch that starts cube and vector cores"),
}
"""What the cube core adds; drawn apart, so that chips of the constants above stay what they are."""


@dataclass(frozen=True)
class Chip:
    """A chip to time programs on.

    Args:
        name: The compiler's name of it.
        cube_cores: Matrix cores; ``vector_cores`` is twice that.
        frequency: Clock of the cores, Hz.
        hbm_peak: Quoted bandwidth of global memory, bytes per second.
        l2_bytes: Size of the second-level cache.
        constants: What is known only within an interval, by the names of `CONSTANTS`.
        cube: The same of the cube core, by the names of `CUBE_CONSTANTS`.
    """

    name: str
    cube_cores: int
    frequency: float
    hbm_peak: float
    l2_bytes: int = L2_BYTES
    constants: dict[str, float] = field(
        default_factory=lambda: {name: constant.nominal for name, constant in CONSTANTS.items()}, compare=False
    )
    cube: dict[str, float] = field(
        default_factory=lambda: {name: constant.nominal for name, constant in CUBE_CONSTANTS.items()}, compare=False
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

    def start_us(self, programs: int) -> float:
        """Device time of a launch of so many programs that do nothing: they are dispatched one after the other."""
        constants = self.constants
        return constants["launch_us"] + programs * constants["dispatch_us"] + constants["program_us"]

    def plausible(self, count: int = 32, seed: int = 0) -> list["Chip"]:
        """``count`` chips with every uncertain constant drawn from its interval, the same for the same seed.

        Each constant's interval is cut into ``count`` strata, one for each chip, so that few chips cover it.
        """
        drawn = [
            _drawn(known, count, random.Random(f"{self.name}/{count}/{seed}{own}"))
            for known, own in ((CONSTANTS, ""), (CUBE_CONSTANTS, "/cube"))
        ]
        return [replace(self, constants=constants, cube=cube) for constants, cube in zip(*drawn, strict=True)]


def _drawn(known: dict[str, Constant], count: int, draw: random.Random) -> list[dict[str, float]]:
    """``count`` times every constant, one of each stratum."""
    strata = {name: draw.sample(range(count), count) for name in known}
    return [
        {name: constant.at((strata[name][chip] + draw.random()) / count) for name, constant in known.items()}
        for chip in range(count)
    ]


A2_B1 = dict(cube_cores=24, frequency=1.85e9, hbm_peak=1.8e12)
A2_B2 = dict(cube_cores=24, frequency=1.8e9, hbm_peak=1.8e12)
A2_B3 = dict(cube_cores=20, frequency=1.8e9, hbm_peak=1.8e12)
A2_B4 = dict(cube_cores=20, frequency=1.5e9, hbm_peak=0.8e12, l2_bytes=96 * KIB * KIB)
A3_24 = dict(cube_cores=24, frequency=1.85e9, hbm_peak=1.8e12)
A3_20 = dict(cube_cores=20, frequency=1.85e9, hbm_peak=1.8e12)
A3_20_168 = A3_20 | dict(l2_bytes=168 * KIB * KIB)

DEFAULT_CHIP = "Ascend910B3"
CHIPS = {
    name: Chip(name, **figures)
    for name, figures in {
        "Ascend910B1": A2_B1,
        "Ascend910B2": A2_B2,
        "Ascend910B2C": A2_B2,
        "Ascend910B3": A2_B3,
        "Ascend910B4": A2_B4,
        "Ascend910B4-1": A2_B4,
        "Ascend910_9362": A3_20_168,
        "Ascend910_9372": A3_20,
        "Ascend910_9381": A3_24,
        "Ascend910_9382": A3_24,
        "Ascend910_9391": A3_24,
        "Ascend910_9392": A3_24,
    }.items()
}
"""Core counts are the compiler's own (``dlti.target_system_spec``); clock, bandwidth and cache are quoted per SKU."""


FILE_FORMAT = 1


@functools.cache
def chip_named(name: str) -> Chip:
    """The chip of that name, or in the file of that name if it ends in ``.json``.

    Raises:
        ValueError: there is none; the message lists them, or says what is wrong with the file.
    """
    return load_chip(Path(name)) if name.endswith(".json") else _known(name)


def _known(name: str) -> Chip:
    if name not in CHIPS:
        raise ValueError(f"unknown chip {name!r}; use one of {', '.join(CHIPS)}, or a chip file")
    return CHIPS[name]


def write_chip(path: Path, chip: Chip, about: dict) -> None:
    """Write a chip file, as `python -m tuner calibrate` does: a known chip with constants of its own.

    Args:
        about: Where the constants come from.
    """
    data = {"format": FILE_FORMAT, "base": chip.name, "constants": chip.constants, **about}
    write_whole(path, json.dumps(data, indent=1) + "\n")


def load_chip(path: Path) -> Chip:
    """The chip in a file that `write_chip` has written.

    Raises:
        ValueError: it cannot be read, or is not such a file; says what is wrong.
    """
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read {path}: {error}") from error
    if not isinstance(data, dict) or data.get("format") != FILE_FORMAT or not isinstance(data.get("constants"), dict):
        raise ValueError(f"{path} is no chip file of python -m tuner calibrate")
    base = _known(str(data.get("base")))
    if odd := set(data["constants"]) ^ set(base.constants):
        raise ValueError(f"{path}: {', '.join(sorted(odd))} missing or unknown; calibrate again with this version")
    for name, value in data["constants"].items():
        if type(value) not in (int, float) or not 0 < value < float("inf"):
            raise ValueError(f"{path}: {name} = {value!r} is no number above 0")
    return replace(base, constants={name: float(data["constants"][name]) for name in base.constants})
