"""The caller's side of the worker: one process, one request at a time, replaced when it dies."""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from .errors import CompilationFailed, CompilerDied
from .installation import Toolchain

PACKAGE_ROOT = Path(__file__).resolve().parents[2]
START_UP = 60.0
"""Seconds that a new worker gets to import Triton, apart from any request's time limit."""


class Frontend:
    """Lowers kernels to Linalg in one long-lived process; any thread may call.

    ``device`` is "" or ``module:function``, a context manager that takes a chip's name: on that device a new worker
    imports a kernel's module which does not import without one.
    """

    device = ""

    def __init__(self):
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None
        self._complaints = None
        self._folder: Path | None = None
        self._unread = b""
        self._on_device: set[str] = set()

    @property
    def pid(self) -> int | None:
        """The worker's process id; None when none runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def lower(self, request: dict, toolchain: Toolchain, timeout: float) -> str:
        """The Linalg text of the kernel that `request` names.

        Raises:
            CompilationFailed: Triton refused it, or it took the worker down or too long (`CompilerDied`).
        """
        with self._lock:
            path = [os.path.abspath(entry) for entry in sys.path]
            if toolchain.triton_folder is not None:
                path.insert(0, str(toolchain.triton_folder))
            file = request["file"]
            # Again in a new worker if this one died, holds an older version of a file, or half of an import.
            for _ in range(4):
                device = self.device if file in self._on_device else ""
                line = json.dumps({**request, "path": path, "timeout": timeout, "device": device}) + "\n"
                reply, stage = self._ask(line, toolchain, timeout, request["qualname"])
                if reply.get("found", True) is False and self.device and not device:
                    self._on_device.add(file)
                elif not reply.get("stale"):
                    break
                self.stop()
        if "linalg" in reply:
            return reply["linalg"]
        error = CompilationFailed(stage, [reply["failure"]], request["qualname"])
        error.deterministic = reply["of_kernel"]
        raise error

    def stop(self) -> None:
        """Ends the worker and whatever it started."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        process.stdin.close()
        process.stdout.close()
        self._complaints.close()

    def forget(self) -> None:
        """Lets go of the worker without ending it: after a fork it is the parent's."""
        if self._process is not None:
            self._process.stdin.close()
            self._process.stdout.close()
            self._process.returncode = 0  # not this process's to wait for
        self.__init__()

    def _ask(self, line: str, toolchain: Toolchain, timeout: float, kernel: str) -> tuple[dict, str]:
        stage = "frontend"
        limit = START_UP
        answered = False
        try:
            if fresh := self.pid is None or self._folder != toolchain.triton_folder:
                self.stop()
                self._start(toolchain)
                self._read(time.monotonic() + limit)
            limit = timeout
            deadline = time.monotonic() + limit
            self._process.stdin.write(line.encode())
            while True:
                reply = self._read(deadline)
                stage = reply.get("stage", stage)
                if reply.keys() != {"stage"}:
                    answered = True
                    return reply, stage
        except TimeoutError:
            raise CompilerDied(stage, [f"no answer within {limit:g} s"], kernel) from None
        except (EOFError, BrokenPipeError):
            if not fresh:  # it may have died before, of something else
                return {"stale": True}, stage
            raise CompilerDied(stage, [self._obituary()], kernel) from None
        finally:
            if not answered:
                self.stop()

    def _start(self, toolchain: Toolchain) -> None:
        # Line information changes no operation; the rest of TRITON_* might.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TRITON_")}
        environment["TRITON_DISABLE_LINE_INFO"] = "false"
        environment["PYTHONSAFEPATH"] = "1"
        environment["COLD_KERNELS_LAZY"] = "1"  # it compiles, and needs no operators
        folders = [str(PACKAGE_ROOT), environment.get("PYTHONPATH", "")]
        if toolchain.triton_folder is not None:
            folders.insert(0, str(toolchain.triton_folder))
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
        self._complaints = tempfile.TemporaryFile()
        self._unread = b""
        self._folder = toolchain.triton_folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cold_kernels.ascend.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            bufsize=0,
            env=environment,
            start_new_session=True,
        )

    def _read(self, deadline: float) -> dict:
        stdout = self._process.stdout.fileno()
        while b"\n" not in self._unread:
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not select.select([stdout], [], [], remaining)[0]:
                raise TimeoutError
            chunk = os.read(stdout, 1 << 16)
            if not chunk:
                raise EOFError
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)

    def _obituary(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "the worker closed its output"
        self._complaints.seek(0)
        last_words = self._complaints.read().decode(errors="replace").strip()[-2000:]
        return f"the worker died: {describe_exit(code)}" + (f"\n{last_words}" if last_words else "")


def describe_exit(code: int) -> str:
    """An exit code in words; a shell's 128 + signal counts as that signal."""
    number = -code if code < 0 else code - 128
    if number in signal.valid_signals() and number > 0:
        return f"ended by {signal.Signals(number).name}"
    return f"exit code {code}"


frontend = Frontend()
atexit.register(frontend.stop)
os.register_at_fork(after_in_child=frontend.forget)
