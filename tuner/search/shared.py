"""A storage that several tuners work on at a time: a database by its URL, or a journal file.

What Optuna's storages do not give is here: a lock under which one of them takes a place of a search, and a way to tell
that whoever took one is dead. A database has both (a row's lock, Optuna's heartbeat by the server's own clock), a
journal has them from the file system: locks that the system takes back from a process that is killed.
"""

import fcntl
import functools
import os
import socket
import threading
import time
import uuid
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial

from cold_kernels.command import CommandFailed

from .journal import JournalBusy, check, cut_half_a_line

HEARTBEAT = 10
"""Seconds between two signs of life of a trial."""
GRACE = 60
"""Seconds without one until it is taken over."""
PATIENCE = 900.0
"""Seconds that a database may be away."""
LOCK_SECONDS = 60.0
POSTGRES = 'python -m pip install "cold-kernels[postgres]"'


class Shared:
    """What all storages have in common; use it as a context manager.

    Args:
        storage: Optuna's.
        name: The storage for people, without a password.
    """

    def __init__(self, storage: BaseStorage, name: str) -> None:
        self.storage = storage
        self.name = name
        self.worker = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"

    def __enter__(self) -> "Shared":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held by one tuner at a time, and by none that is dead."""
        raise NotImplementedError

    def alive(self, trial: int) -> None:
        """The trial of that id runs here from now on."""

    def over(self, trial: int) -> None:
        """It does no longer."""

    def dead(self, study: int, running: Iterable[FrozenTrial], worker: str) -> list[FrozenTrial]:
        """Those of the ``running`` trials whose workers are dead; ``worker`` is the attribute that names them."""
        raise NotImplementedError


class SharedJournal(Shared):
    """A journal file, for tuners on one machine, or on a network's file system that has locks."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file, _flocked(file, path):
            try:
                check(file)
            except ValueError as error:
                raise ValueError(f"{path} is no journal of trials ({error}); move it away") from error
            cut_half_a_line(file)
        super().__init__(JournalStorage(JournalFileBackend(str(path), lock_obj=_Appending(path))), str(path))
        self._path = path
        self._workers = path.with_name(f"{path.name}.workers")

    def __enter__(self) -> "SharedJournal":
        self._workers.mkdir(exist_ok=True)
        self._sign = (self._workers / self.worker).open("ab")
        fcntl.flock(self._sign, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: object) -> None:
        (self._workers / self.worker).unlink(missing_ok=True)
        self._sign.close()
        with suppress(OSError):  # others are there
            self._workers.rmdir()

    @contextmanager
    def lock(self) -> Iterator[None]:
        path = self._path.with_name(f"{self._path.name}.lock")
        with path.open("ab") as file, _flocked(file, path):
            yield

    def dead(self, study: int, running: Iterable[FrozenTrial], worker: str) -> list[FrozenTrial]:
        return [trial for trial in running if self._is_dead(trial.user_attrs.get(worker, ""))]

    def _is_dead(self, worker: str) -> bool:
        if worker == self.worker:
            return False
        try:
            with (self._workers / Path(worker or "nobody").name).open("rb") as sign:
                fcntl.flock(sign, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return True
        except BlockingIOError:
            return False
        return True


class SharedDatabase(Shared):
    """A database that SQLAlchemy knows."""

    def __init__(self, url: str) -> None:
        import sqlalchemy

        try:
            parsed = sqlalchemy.make_url(url)
        except sqlalchemy.exc.ArgumentError:
            raise ValueError(
                "--storage: no URL of a database (postgresql://user@host/name) and no journal file"
            ) from None
        name = parsed.render_as_string(hide_password=True)
        try:
            parsed.get_dialect()
        except sqlalchemy.exc.NoSuchModuleError:
            raise ValueError(f"--storage {name}: no database is called {parsed.drivername}") from None
        options: dict[str, Any] = {"pool_pre_ping": True}
        if parsed.get_backend_name() == "sqlite":
            if not parsed.database or parsed.database == ":memory:":
                raise ValueError(f"--storage {name}: nobody else can see it; name a file")
            options["connect_args"] = {"timeout": LOCK_SECONDS}
        self._file = Path(parsed.database) if parsed.get_backend_name() == "sqlite" else None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                inner = _opened(url, options)
        except ImportError as error:
            driver = (error.__cause__ or error).name or "its driver"
            hint = f"; {POSTGRES}" if parsed.get_backend_name() == "postgresql" else ""
            raise CommandFailed(f"--storage {name}: {driver} is not installed{hint}") from error
        except (sqlalchemy.exc.SQLAlchemyError, StorageInternalError) as error:
            raise CommandFailed(f"--storage {name} cannot be opened: {_first_line(error)}") from error
        except RuntimeError as error:  # tables of another Optuna
            raise ValueError(f"--storage {name}: {_first_line(error)}") from error
        super().__init__(_Patient(inner, name), name)
        self._inner = inner
        self._running: set[int] = set()
        self._ended = threading.Event()

    def __enter__(self) -> "SharedDatabase":
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._inner.engine.dispose()

    @contextmanager
    def lock(self) -> Iterator[None]:
        import sqlalchemy

        if self._file:
            path = self._file.with_name(f"{self._file.name}.lock")
            with path.open("ab") as file, _flocked(file, path):
                yield
            return
        version = sqlalchemy.table("version_info", sqlalchemy.column("version_info_id"))
        with self._connected() as connection:
            connection.execute(sqlalchemy.select(version).with_for_update()).all()
            yield  # a lock of the one row of Optuna's table that nothing else locks; it ends with the transaction

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        connection = self.storage.patiently(self._inner.engine.connect)
        try:
            yield connection
        finally:
            with suppress(Exception):  # it may have gone away, and the lock with it
                connection.close()

    def alive(self, trial: int) -> None:
        self.storage.record_heartbeat(trial)
        self._running.add(trial)

    def over(self, trial: int) -> None:
        self._running.discard(trial)

    def dead(self, study: int, running: Iterable[FrozenTrial], worker: str) -> list[FrozenTrial]:
        stale = set(self.storage._get_stale_trial_ids(study))
        return [trial for trial in running if trial._trial_id in stale or worker not in trial.user_attrs]

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT):
            for trial in list(self._running):
                with suppress(Exception):  # it is away; whoever needs it says so
                    self._inner.record_heartbeat(trial)


def open_shared(url: str) -> Shared:
    """The storage of that URL; without ``://`` it is the path of a journal file.

    Raises:
        ValueError: it is neither.
        CommandFailed: the database does not answer, or its driver is not installed.
        OSError: the file cannot be written.
    """
    return SharedDatabase(url) if "://" in url else SharedJournal(Path(url))


def _opened(url: str, options: dict[str, Any]) -> RDBStorage:
    """Made anew where another tuner makes the same tables at the same time."""
    import sqlalchemy

    for attempt in range(5):
        try:
            return RDBStorage(url, options, heartbeat_interval=HEARTBEAT, grace_period=GRACE)
        except (
            sqlalchemy.exc.IntegrityError,
            sqlalchemy.exc.ProgrammingError,
            sqlalchemy.exc.OperationalError,
        ) as error:
            gone = isinstance(error, sqlalchemy.exc.OperationalError) and "exists" not in str(error)
            if gone or attempt == 4:
                raise
            time.sleep(0.2 * (attempt + 1))
    raise AssertionError("unreachable")


class _Patient:
    """A database that may go away for a while: whatever fails for that is tried again, for `PATIENCE` seconds."""

    def __init__(self, inner: RDBStorage, name: str) -> None:
        self._inner = optuna.storages.get_storage(inner)  # with the trials that cannot change any more remembered
        self._name = name

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return functools.partial(self.patiently, found) if callable(found) else found

    def patiently(self, call: Any, *args: Any, **named: Any) -> Any:
        began = time.monotonic()
        pause = 0.5
        while True:
            try:
                return call(*args, **named)
            except Exception as error:
                if not _gone(error):
                    raise
                if time.monotonic() - began > PATIENCE:
                    raise CommandFailed(
                        f"{self._name} was away for {PATIENCE:g} s ({_first_line(error)}); all that was told it is "
                        "kept, and the same command goes on from there"
                    ) from error
            time.sleep(pause)
            pause = min(2 * pause, 10.0)


def _gone(error: BaseException) -> bool:
    """Whether the database went away, and not what was asked of it is wrong."""
    import sqlalchemy

    if isinstance(error, StorageInternalError):
        error = error.__cause__ or error
    return isinstance(
        error, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError | sqlalchemy.exc.TimeoutError
    )


class _Appending(JournalFileOpenLock):
    """Lets one process write at a time, after what a killed one left of a line is cut off."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path
        self._here = threading.Lock()

    def acquire(self) -> bool:
        self._here.acquire()
        try:
            self._file = self._path.open("ab+")
            _take(self._file, self._path)
            cut_half_a_line(self._file)
        except BaseException:
            self._here.release()
            raise
        return True

    def release(self) -> None:
        self._file.close()
        self._here.release()


@contextmanager
def _flocked(file: Any, path: Path) -> Iterator[None]:
    _take(file, path)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _take(file: Any, path: Path) -> None:
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise JournalBusy(
                    f"another autotune holds {path} for itself; wait for it, or give both --storage"
                ) from None
            time.sleep(0.005)


def _first_line(error: BaseException) -> str:
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    return str(cause or error).strip().partition("\n")[0]
