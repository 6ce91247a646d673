"""Linalg text -> HIVM in generic form, through the two command-line tools of AscendNPU-IR."""

import os
import re
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from .errors import CompilationFailed, CompilerDied, UnifiedBufferOverflow
from .frontend import describe_exit
from .installation import Toolchain
from .options import CompileOptions

# What triton-ascend's driver passes for every Triton kernel, whatever the options.
_BIND = "--enable-auto-bind-sub-block=True"
_DRIVER_FLAGS = [
    _BIND,
    "--enable-hfusion-compile=true",
    "--enable-hivm-compile=true",
    "--enable-triton-kernel-compile=true",
]
_DUMP_FLAGS = [
    "--mlir-print-ir-before=convert-hivm-to-std",
    "--mlir-print-ir-module-scope",
    "--mlir-print-debuginfo",
    "--mlir-disable-threading",
]
_GENERIC_FLAGS = [
    "--lower-affine",
    "--canonicalize",
    "--cse",
    "--mlir-print-op-generic",
    "--mlir-print-local-scope",
    "--mlir-print-debuginfo",
]
_DUMP = "// -----// IR Dump Before "
_UNIT_FLAG = re.compile(r"unit_flag\[(\[[^\]]*\])(?:, ([^\]]*))?\]")
"""How the last dump has unit flags of a fixpipe: in words of an older release, which bishengir-opt does not read."""
_CLOSED_BACK_END = "External hivmc run fails"
_RETRY = "retrying compilation"
_ERROR = re.compile(r"^(?:loc\(.*\): |\S+:\d+:\d+: )?error: .*", re.MULTILINE)
_OVERFLOW = re.compile(r"ub overflow, requires (\d+) bits while (\d+) bits available")


@dataclass(frozen=True)
class Compiler:
    """The open compiler for one kernel; `timeout` is in seconds, of each tool's run."""

    toolchain: Toolchain
    kernel: str
    timeout: float

    def compile(self, linalg: str, chip: str, options: CompileOptions, bind_sub_blocks: bool = True) -> str:
        """The last HIVM module before the closed back end, in generic form with source locations.

        Args:
            bind_sub_blocks: Whether the two vector cores of a cube core share the work of a mixed kernel.

        Raises:
            CompilationFailed: With the tool's diagnostics; may be `UnifiedBufferOverflow` or `CompilerDied`.
        """
        flags = [*driver_flags(chip, options), *_DUMP_FLAGS, "-o", "kernel"]
        if not bind_sub_blocks:
            flags[flags.index(_BIND)] = _BIND.replace("True", "False")
        with tempfile.TemporaryDirectory(prefix="cold-kernels-") as folder:
            return self._generic(self._dump(linalg, flags, Path(folder)), Path(folder))

    def _dump(self, linalg: str, flags: list[str], folder: Path) -> str:
        # triton-ascend's driver removes the same attribute: the compiler finds out by itself.
        (folder / "kernel.mlir").write_text(re.sub(r', mix_mode\s*=\s*"[^"]*"', "", linalg), encoding="utf-8")
        command = [self.toolchain.bishengir_compile, "kernel.mlir", *flags]
        code, _, said = self._run("hivm", command, folder)
        last_attempt = said[said.rfind(_RETRY) + 1 :]
        errors = [line for line in _errors(last_attempt) if _CLOSED_BACK_END not in line]
        start = last_attempt.rfind(_DUMP)
        expected_end = code == 0 or _CLOSED_BACK_END in last_attempt
        if start >= 0 and expected_end and not errors:
            return last_attempt[start:].partition("\n\n")[0] + "\n"
        if (overflow := _OVERFLOW.search("\n".join(errors))) is not None:
            required, available = map(int, overflow.groups())
            raise UnifiedBufferOverflow("hivm", errors, self.kernel, required_bits=required, available_bits=available)
        raise CompilationFailed("hivm", errors or [said.strip()[-2000:] or describe_exit(code)], self.kernel)

    def _generic(self, dump: str, folder: Path) -> str:
        (folder / "dump.mlir").write_text(_UNIT_FLAG.sub(_unit_flag, dump), encoding="utf-8")
        command = [self.toolchain.bishengir_opt, "dump.mlir", *_GENERIC_FLAGS]
        code, printed, said = self._run("generic", command, folder)
        if code != 0 or not printed:
            raise CompilationFailed("generic", _errors(said) or [said.strip()[-2000:]], self.kernel)
        # What had no location of its own got its place in one of the two files.
        return re.sub(r'loc\("(?:dump|[^"]*/cold-kernels-[^"/]*/kernel)\.mlir":\d+:\d+\)', "loc(unknown)", printed)

    def _run(self, stage: str, command: list, folder: Path) -> tuple[int, str, str]:
        # An empty PATH: with CANN installed, hivmc would run, and its version would change the module. The tool leaves
        # scratch folders behind.
        environment = {**os.environ, "PATH": str(folder), "TMPDIR": str(folder)}
        started = time.monotonic()
        with subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                printed, said = process.communicate(timeout=self.timeout)
            except BaseException as error:
                _kill_group(process)
                if isinstance(error, subprocess.TimeoutExpired):
                    took = f"{time.monotonic() - started:.1f} s"
                    message = f"{command[0].name} was ended after {took}; the limit is {self.timeout:g} s"
                    raise CompilerDied(stage, [message], self.kernel) from None
                raise
        if process.returncode < 0 or process.returncode >= 128:
            message = f"{command[0].name} was {describe_exit(process.returncode)}"
            raise CompilerDied(stage, [message, *_errors(said)], self.kernel)
        return process.returncode, printed, said


def driver_flags(chip: str, options: CompileOptions) -> list[str]:
    """What triton-ascend's driver passes to bishengir-compile on such a device."""
    return [f"--target={chip}", *options.flags(), *_DRIVER_FLAGS]


def _unit_flag(found: re.Match) -> str:
    modes, conditions = found.groups()
    return f"unit_flag_mode({modes})" + (f" unit_flag_cond({conditions})" if conditions else "")


def _errors(said: str) -> list[str]:
    """The `error:` lines; that the pipeline failed is left out where a line says why."""
    lines = [match.group().strip() for match in _ERROR.finditer(said)]
    telling = [line for line in lines if "Failed to run BiShengHIR pipeline" not in line]
    return telling or lines


def _kill_group(process: subprocess.Popen) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
