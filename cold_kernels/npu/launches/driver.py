"""What Triton asks of a device: its chip, its stream, and somebody to hand programs to."""

from types import SimpleNamespace

import torch
from triton.backends.compiler import GPUTarget
from triton.backends.driver import DriverBase

from ...ascend.chips import Chip
from .bench import device_time
from .launcher import SimulatedLauncher


class DeviceNumber(int):
    """The number 0, which is another key for each chip: kernels compiled for one are no other's."""

    def __new__(cls, *key: object) -> "DeviceNumber":
        made = super().__new__(cls, 0)
        made.key = key
        return made

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, DeviceNumber) else int(self) == other

    def __hash__(self) -> int:
        return hash(self.key)


class SimulatedDriver(DriverBase):
    """The driver of one simulated chip.

    Args:
        compile_twice: Kernels that were compiled without a second time are compiled again.
    """

    def __init__(self, chip: Chip, compile_twice: bool = False) -> None:
        self.chip, self.number = chip, DeviceNumber(chip.name, compile_twice)
        self.launcher_cls = SimulatedLauncher
        self.utils = SimpleNamespace(
            get_device_properties=self._properties,
            get_arch=lambda: chip.name,
            get_aicore_num=lambda: chip.cube_cores,
            get_aivector_core_num=lambda: chip.vector_cores,
            set_device_limit=lambda *_: None,
            load_binary=self._load,
        )

    @classmethod
    def is_active(cls) -> bool:
        """Whether Triton shall take it by itself; it is set by hand."""
        return False

    def get_current_target(self) -> GPUTarget:
        """The chip, as triton-ascend's own driver gives it."""
        return GPUTarget("npu", self.chip.name, 0)

    def get_current_device(self) -> int:
        """The one device's number."""
        return self.number

    def set_current_device(self, device: int) -> None:
        """Choose a device, of which there is one."""
        torch.npu.set_device(device)

    def get_current_stream(self, device: int | None = None) -> int:
        """The one stream."""
        return 0

    def get_benchmarker(self):
        """What `triton.autotune` times with."""
        return device_time

    def get_device_interface(self):
        """`torch.npu`."""
        return torch.npu

    def get_empty_cache_for_benchmark(self) -> torch.Tensor:
        """What a benchmark fills to empty the cache; nothing here is cached between launches."""
        return torch.empty(1, dtype=torch.int, device="npu")

    def _properties(self, device=0) -> dict:
        return {"max_shared_mem": 1, "num_aicore": self.chip.cube_cores, "num_vectorcore": self.chip.vector_cores}

    def _load(self, name: str, kernel: bytes, shared: int, device: int) -> tuple:
        """Module, function, registers and spills of a compiled kernel; the function is its HIVM."""
        hivm = kernel.decode()
        return hivm, hivm, 0, 0
