"""``python -m decoding serve`` as a process, and what its metrics say."""

import contextlib
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from .served import CONTEXT, Served

READY_S = 300


class Server:
    """A running server, at ``url``."""

    def __init__(self, process: subprocess.Popen, port: int) -> None:
        self.process, self.url = process, f"http://127.0.0.1:{port}"

    def metric(self, name: str, label: str = "") -> float:
        """The sum of a metric over its labels, of those that contain ``label``."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        found = re.findall(rf"^vllm:{name}({{[^}}]*}})? ([0-9.e+-]+)$", text, re.M)
        return sum(float(value) for labels, value in found if label in labels)

    def resident_mib(self) -> float:
        """Memory of the process and of all that it has started."""
        pages = 0
        for process in _family(self.process.pid):
            with contextlib.suppress(FileNotFoundError):
                pages += int(Path(f"/proc/{process}/statm").read_text().split()[1])
        return pages * 4096 / 2**20


def _family(pid: int) -> list[int]:
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


@contextlib.contextmanager
def serving(served: Served, log: Path, *options: str) -> Iterator[Server]:
    """A server of the model and all its adapters.

    Raises:
        RuntimeError: it did not start; with the end of what it wrote.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    adapters = [text for name, folder in served.adapters.items() for text in ("--adapter", f"{name}={folder}")]
    command = [sys.executable, "-m", "decoding", "serve", "--model", str(served.folder), *adapters]
    vllm = ["--dtype", "float32", "--max-model-len", str(CONTEXT), "--enforce-eager", "--served-model-name", "base"]
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--", *vllm, *options], stdout=file, stderr=subprocess.STDOUT
        )
    server = Server(process, port)
    try:
        _wait(server, log)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(server: Server, log: Path) -> None:
    end = time.monotonic() + READY_S
    while server.process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{server.url}/health", timeout=5):
            return
        time.sleep(0.5)
    raise RuntimeError(f"the server did not start:\n{log.read_text()[-4000:]}")
