"""The seam to a device, and the NPU behind it."""

import os
from collections.abc import Mapping, Sequence
from importlib import metadata, util
from pathlib import Path
from typing import Any, Protocol

import torch

from cold_kernels.stage import StageCall

SAMPLES = 20
WARM_UP = 3
FLUSH_BYTES = 512 * 1024 * 1024
"""More than any second-level cache, and long enough on the device for the host to launch the kernel meanwhile."""


class Unavailable(RuntimeError):
    """There is no NPU here that could be measured; says what is missing."""


class MeasuredDevice(Protocol):
    """What kernels are measured on.

    ``backend`` is one of `cold_kernels.tunables.BACKENDS`; ``evidence`` is what its times are: ``measured``, or
    ``stand-in``; ``chip`` a name of `cold_kernels.ascend.chips`, or of a GPU its own; ``cores`` what a grid may fill.
    """

    backend: str
    name: str
    chip: str
    evidence: str
    cores: int
    versions: Mapping[str, str]

    def place(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """The tensors among ``args`` on the device, the rest as it is."""

    def run(self, calls: Sequence[StageCall]) -> None:
        """Launch them one after the other, and return when all are done."""

    def time(self, calls: Sequence[StageCall]) -> list[float]:
        """Microseconds from the first launch's start to the last one's end, a number each time; caches are cold."""

    def alive(self) -> bool:
        """Whether it still works after a failure."""


class Npu:
    """The current NPU, through torch_npu and triton-ascend. No test here has run on one.

    A time is that between two device events around the launches, less that of two events with nothing between. Before
    each the device copies `FLUSH_BYTES`: that empties the second-level cache, and keeps the device busy until the host
    has launched everything, so that no time of the host counts.

    Raises:
        Unavailable: something is missing.
    """

    evidence = "measured"
    kind, backend = "npu", "ascend"

    def __init__(self) -> None:
        if what := self.missing():
            raise Unavailable(what)
        from cold_kernels.devices import device_of

        found = device_of(torch.empty(1, device=self.kind))
        self.name = self.chip = found.chip
        self.cores = found.cores
        self.versions = versions()
        self._from = torch.empty(FLUSH_BYTES // 2, dtype=torch.uint8, device=self.kind)
        self._to = torch.empty_like(self._from)
        self._nothing = 0.0
        self._nothing = sorted(self.time(()))[SAMPLES // 2]

    def missing(self) -> str:
        """`missing`, of this kind of device."""
        return missing()

    @property
    def _torch(self) -> Any:
        return getattr(torch, self.kind)

    def place(self, args: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value.to(self.kind) if isinstance(value, torch.Tensor) else value for name, value in args.items()}

    def run(self, calls: Sequence[StageCall]) -> None:
        for call in calls:
            call.run()
        self._torch.synchronize()

    def time(self, calls: Sequence[StageCall]) -> list[float]:
        for _ in range(WARM_UP):
            self.run(calls)
        pairs = []
        for _ in range(SAMPLES):
            begin, end = self._torch.Event(enable_timing=True), self._torch.Event(enable_timing=True)
            self._to.copy_(self._from)
            begin.record()
            for call in calls:
                call.run()
            end.record()
            self._torch.synchronize()
            pairs.append((begin, end))
        return [1e3 * begin.elapsed_time(end) - self._nothing for begin, end in pairs]

    def alive(self) -> bool:
        try:
            return bool((torch.ones(8, device=self.kind) + 1).cpu().eq(2).all())
        except RuntimeError:
            return False


def missing() -> str:
    """What keeps kernels from being measured on an NPU here, and how to get it; "" if nothing does."""
    if os.environ.get("TRITON_INTERPRET", "0") == "1":
        return "TRITON_INTERPRET=1 is set, so kernels are interpreted on the CPU; unset it"
    os.environ.setdefault("TASK_QUEUE_ENABLE", "0")  # launches, copies and events in the order of the program
    try:
        import torch_npu  # noqa: F401
    except ImportError as error:
        return f"torch_npu does not import ({error}); install the one for this torch and this CANN"
    if not torch.npu.is_available():
        return "torch_npu sees no NPU; look at npu-smi info, and at ASCEND_RT_VISIBLE_DEVICES"
    if not util.find_spec("triton.backends.ascend"):
        return "triton-ascend is not installed, or another Triton is in its place; python -m tuner doctor says more"
    return ""


def versions() -> dict[str, str]:
    """Of everything between a kernel and the device, as far as it says."""
    found = {}
    for package in ("torch", "torch_npu", "triton-ascend", "triton"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    home = os.environ.get("ASCEND_TOOLKIT_HOME") or os.environ.get("ASCEND_HOME_PATH")
    for file in sorted(Path(home).glob("**/ascend_toolkit_install.info")) if home else ():
        lines = dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
        found["cann"] = lines.get("version", "unknown")
    return found
