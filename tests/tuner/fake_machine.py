"""A compiler and a chip in a few lines of arithmetic, for `tiny_spec` and for made-up times.

Run as a program it is ``python -m tuner`` on this machine instead of the Ascend one; the environment variable
FAKE_SECONDS is how long each simulation takes, FAKE_DEATH a tile whose compile with multibuffer kills its process,
FAKE_FULL a tile whose compile finds the disk full, FAKE_HANG one whose compile never ends, FAKE_HUGE one whose compile
takes more and more memory. FAKE_ROOM is how large a journal can get, FAKE_GRACE after how many seconds
a database's worker counts as dead.
"""

import dataclasses
import errno
import os
import signal
import sys
import time
from dataclasses import dataclass

from cold_kernels.ascend.chips import CONSTANTS, Chip, chip_named
from cold_kernels.ascend.errors import CompilationFailed, UnifiedBufferOverflow
from cold_kernels.ascend.machine import Machine

AVAILABLE_BITS = 192 * 1024 * 8
WRONG_TILE, BROKEN_TILE = 128, 64


@dataclass(frozen=True)
class FakeProgram:
    """What the fake compiler makes: its input."""

    tile: int
    multibuffer: bool

    @property
    def digest(self) -> str:
        return repr(self)


@dataclass(frozen=True)
class FakeSimulation:
    """A time that falls with the tile's latency and grows with its size; AUTO hides half of it."""

    program: FakeProgram
    size: int
    chip: Chip
    hazards: tuple[str, ...] = ()

    @property
    def microseconds(self) -> float:
        tiles = -(-self.size // self.program.tile)
        latency = 240 * self.chip.constants["load_latency"] / CONSTANTS["load_latency"].nominal
        latency *= 1 if self.program.multibuffer else 1.6
        return self.chip.constants["launch_us"] + 1e-3 * (tiles * latency + self.program.tile)

    @property
    def pipes(self) -> dict[str, float]:
        return {"V": 1.0, "MTE2": self.microseconds}

    def on(self, chip: Chip) -> "FakeSimulation":
        return dataclasses.replace(self, chip=chip)


def fake_machine(name: str) -> Machine:
    """In place of `cold_kernels.ascend.machine.ascend_machine`; compiles and simulates `tiny_spec.tiny_add`.

    One tile computes wrong values, one does not compile, and the largest ones do not fit.
    """
    chip = chip_named(name)

    def compile(kernel, signature, constants, options):
        tile = constants["TILE"]
        if options["multibuffer"] and str(tile) == os.environ.get("FAKE_DEATH"):
            os.kill(os.getpid(), signal.SIGKILL)
        if str(tile) == os.environ.get("FAKE_HANG"):
            while True:  # deaf to SIGTERM, as a library that hangs is
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
                time.sleep(60)
        if str(tile) == os.environ.get("FAKE_HUGE"):
            hoard = [bytearray(b"x") * (1 << 26) for _ in range(200)]  # 12.5 GiB, if nobody stops it
            return hoard
        if str(tile) == os.environ.get("FAKE_FULL"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        required = tile * 4 * 8 * 3 * (2 if options["multibuffer"] else 1)
        if required > AVAILABLE_BITS:
            raise UnifiedBufferOverflow(
                "hivm", ["overflow"], "add", required_bits=required, available_bits=AVAILABLE_BITS
            )
        if tile == BROKEN_TILE:
            raise CompilationFailed("linalg", ["no such luck"], "add")
        return FakeProgram(tile, options["multibuffer"])

    def simulate(program, arguments, grid, values):
        time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
        x, y, z = arguments[:3]
        size = x.numel()
        if values:
            z.copy_(x + y)
            if program.tile == WRONG_TILE:
                z[-1] = float("nan")
        return FakeSimulation(program, size, chip)

    return Machine(chip, compile, simulate, {"fake": "1"}, "fake")


if __name__ == "__main__":
    import cold_kernels.ascend.machine
    from tuner.__main__ import main

    cold_kernels.ascend.machine.ascend_machine = fake_machine
    if room := os.environ.get("FAKE_ROOM"):
        import optuna.storages.journal

        whole = optuna.storages.journal.JournalFileBackend.append_logs

        def append(self, logs):
            with open(self._file_path, "ab") as file:
                if file.tell() > int(room):
                    file.write(b'{"op_code":')  # as much as there was room for
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            whole(self, logs)

        optuna.storages.journal.JournalFileBackend.append_logs = append
    if grace := os.environ.get("FAKE_GRACE"):
        import tuner.search.shared

        tuner.search.shared.HEARTBEAT, tuner.search.shared.GRACE = 1, int(grace)
    sys.exit(main())
