"""GPUs in the numbers that decide how many programs run beside each other, and how fast bytes can come."""

from dataclasses import dataclass

from ..devices import PROGRAMS


@dataclass(frozen=True, kw_only=True)
class Target:
    """An architecture, and the device of it whose size and bandwidths are meant.

    "Multiprocessor" is NVIDIA's SM and AMD's compute unit; a warp is AMD's wave.

    Args:
        name: What ``--chip`` and the accepted figures call it.
        backend: Triton's name of its back end, ``cuda`` or ``hip``.
        arch: The architecture as that back end wants it.
        device: The device whose numbers are below.
        warp: Threads of a warp.
        multiprocessors: Of the device.
        registers: 32-bit vector registers of a multiprocessor, over all threads.
        most_registers: Of a thread, before it spills.
        register_unit: Registers of a thread are given out in multiples of this.
        warps: That a multiprocessor holds at most.
        programs: That a multiprocessor holds at most.
        schedulers: Parts of a multiprocessor that hold warps; a warp's registers are in one of them.
        shared: Bytes of shared memory of a multiprocessor.
        shared_of_program: Bytes that one program may have at most.
        shared_reserved: Bytes that each program takes besides its own.
        shared_unit: Bytes of shared memory are given out in multiples of this.
        clock: Highest clock in Hz.
        bandwidth: Peak of the device's memory in bytes a second.
        cache_bandwidth: Bytes a clock of the cache that all multiprocessors share, to all of them.
        own_bandwidth: Bytes a clock that one multiprocessor takes in at most.
        latency: Seconds from a load to its data from memory.
    """

    name: str
    backend: str
    arch: int | str
    device: str
    warp: int
    multiprocessors: int
    registers: int
    most_registers: int
    register_unit: int
    warps: int
    programs: int
    schedulers: int
    shared: int
    shared_of_program: int
    shared_reserved: int
    shared_unit: int
    clock: float
    bandwidth: float
    cache_bandwidth: int
    own_bandwidth: int
    latency: float

    @property
    def cores(self) -> int:
        """What a launch's grid is sized for, as `devices.Device.cores` on the device."""
        return self.multiprocessors * PROGRAMS


SM_80 = Target(
    name="sm_80", backend="cuda", arch=80, device="A100-SXM4-80GB", warp=32,
    multiprocessors=108, registers=65536, most_registers=255, register_unit=8, warps=64, programs=32, schedulers=4,
    shared=164 * 1024, shared_of_program=163 * 1024, shared_reserved=1024, shared_unit=128,
    clock=1.41e9, bandwidth=2039e9, cache_bandwidth=5120, own_bandwidth=64, latency=500e-9,
)  # fmt: skip
SM_90 = Target(
    name="sm_90", backend="cuda", arch=90, device="H100-SXM5-80GB", warp=32,
    multiprocessors=132, registers=65536, most_registers=255, register_unit=8, warps=64, programs=32, schedulers=4,
    shared=228 * 1024, shared_of_program=227 * 1024, shared_reserved=1024, shared_unit=128,
    clock=1.98e9, bandwidth=3352e9, cache_bandwidth=5120, own_bandwidth=64, latency=500e-9,
)  # fmt: skip
GFX942 = Target(
    name="gfx942", backend="hip", arch="gfx942", device="MI300X", warp=64,
    multiprocessors=304, registers=131072, most_registers=512, register_unit=8, warps=32, programs=16, schedulers=4,
    shared=64 * 1024, shared_of_program=64 * 1024, shared_reserved=0, shared_unit=512,
    clock=2.1e9, bandwidth=5300e9, cache_bandwidth=16384, own_bandwidth=64, latency=800e-9,
)  # fmt: skip

SOURCES = {
    "sm_80": "CUDA C++ Programming Guide, technical specifications of compute capability 8.0 (registers, warps, "
    "programs, shared memory, 1 KB of it the system's in each program) and the CUDA occupancy calculator (units); "
    "NVIDIA A100 datasheet and whitepaper (108 SMs, 1.41 GHz, 2,039 GB/s, 5,120 bytes a clock of L2)",
    "sm_90": "CUDA C++ Programming Guide, compute capability 9.0; NVIDIA H100 whitepaper and datasheet (132 SMs, 1.98 "
    "GHz boost, 3.35 TB/s); L2 taken as A100's",
    "gfx942": "LLVM, User Guide for AMDGPU Backend and AMDGPUBaseInfo (512 vector registers of 64 lanes in each of 4 "
    "SIMDs, in units of 8; 8 waves a SIMD; 16 work-groups with barriers; 64 KB of LDS); AMD MI300X datasheet and CDNA "
    "3 whitepaper (304 CUs, 2.1 GHz, 5.3 TB/s, 2,048 bytes a clock of L2 in each of 8 dies, 64 for a CU)",
}
"""Where the numbers of each target are from, but for ``latency``, an estimate that modelled times alone use."""

HERE = "gpu"
"""What ``--chip`` calls the GPU of this machine, which is measured and no target."""
TARGETS = {target.name: target for target in (SM_80, SM_90, GFX942)}


def target_named(name: str) -> Target:
    """The target of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in TARGETS:
        raise ValueError(f"there is no GPU target {name!r}; there are {', '.join(TARGETS)}")
    return TARGETS[name]
