"""A PostgreSQL server on loopback, in a folder of its own that goes with it."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")


class Server:
    """Made and started; `stop` and `start` take it away and bring it back."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder, self._programs = folder, programs
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"postgresql://tuner@127.0.0.1:{self._port}/postgres"
        # It does not run as root, as which tests may run.
        self._user = {}
        if os.getuid() == 0:
            self._user = {"user": "postgres" if _is_user("postgres") else "nobody"}
            os.chown(folder, pwd.getpwnam(self._user["user"]).pw_uid, -1)
        self._run("initdb", "-D", folder / "data", "-U", "tuner", "-A", "trust", "--no-sync")

    def start(self) -> None:
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self._run("pg_ctl", "-D", self._folder / "data", "-l", self._folder / "log", "-w", "-o", options, "start")

    def stop(self, how: str = "immediate") -> None:
        self._run("pg_ctl", "-D", self._folder / "data", "-m", how, "-w", "stop")

    def _run(self, name: str, *arguments: object) -> None:
        command = [str(self._programs / name), *map(str, arguments)]
        done = subprocess.run(
            command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=120, **self._user,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}"


@contextmanager
def server() -> Iterator[Server]:
    """A running server; the test is skipped where PostgreSQL or its driver is not installed."""
    pytest.importorskip("psycopg")
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else sorted(p for at in PLACES for p in Path("/").glob(at[1:]))
    if not places:
        pytest.skip("no initdb: Debian has it in the package postgresql")
    folder = Path(tempfile.mkdtemp(prefix="cold-kernels-postgres-"))
    try:
        made = Server(folder, places[-1])
        made.start()
        try:
            yield made
        finally:
            if (folder / "data" / "postmaster.pid").exists():
                made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_user(name: str) -> bool:
    return any(each.pw_name == name for each in pwd.getpwall())
