"""Where a search has its tasks done: in this process, or in several others at a time."""

import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from .limits import Limits, kill_tree, resident_bytes, tree
from .tasks import LOST, Plan, Task, Workplace

GRACE = 5.0
"""Seconds that a process gets to end its compiler before it is killed."""
STARTING = 300.0
"""Seconds that a process gets, besides, until it has imported what its first task takes."""
LOOK_EVERY = 0.2
"""Seconds between two looks at what the tasks under way take."""


@dataclass
class _Asked:
    """A task under way; ``lost`` counts the processes that it took down."""

    key: Any
    group: int
    task: Task
    lost: int = 0


class InProcess:
    """Does one task at a time, here."""

    jobs = 1

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._asked: _Asked | None = None

    def __enter__(self) -> "InProcess":
        # Sums of many threads differ in their last bits from those of one, and so could what a failure says.
        self._threads = torch.get_num_threads()
        torch.set_num_threads(1)
        return self

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self._threads)

    @property
    def free(self) -> bool:
        """Whether `submit` would begin something at once."""
        return self._asked is None

    def submit(self, key: Any, group: int, task: Task) -> None:
        """Begin a task about the group of that number; `wait` says ``key`` when it is done."""
        self._asked = _Asked(key, group, task)

    def wait(self, seconds: float = math.inf) -> tuple[Any, Any] | None:
        """The key and the answer of the next task that is done, which here is never late.

        Raises:
            ToolchainMissing: the compiler went away.
        """
        asked, self._asked = self._asked, None
        return asked.key, self._place.do(asked.group, asked.task)

    def cancel(self) -> None:
        """Give up what was begun."""
        self._asked = None


class Processes:
    """Does as many tasks at a time as there are ``jobs``, each in a process with a compiler of its own.

    A process that dies costs its task a second attempt in another one; if that dies too, the answer is the task's
    `lost`. So is that of a task that takes longer than ``limits`` allow, at once, or more memory, in a process that
    has done nothing before. All end with the context, or when this process does.
    """

    def __init__(self, plan: Plan, jobs: int, limits: Limits = Limits()) -> None:
        self._plan = plan
        self.jobs = jobs
        self._limits = limits
        self._idle: list[_Process] = []
        self._busy: dict[_Process, _Asked] = {}

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        _end([*self._idle, *self._busy])

    @property
    def free(self) -> bool:
        return len(self._busy) < self.jobs

    def submit(self, key: Any, group: int, task: Task) -> None:
        self._begin(_Asked(key, group, task))

    def wait(self, seconds: float = math.inf) -> tuple[Any, Any] | None:
        """As `InProcess.wait`; None if nothing is done within ``seconds``."""
        until = time.monotonic() + seconds
        while True:
            left = until - time.monotonic()
            ready = wait([process.connection for process in self._busy], max(0.0, min(left, LOOK_EVERY)))
            for process in [each for each in self._busy if each.connection in ready]:
                try:
                    answer = process.connection.recv()
                except (EOFError, ConnectionError):
                    asked = self._busy.pop(process)
                    how = _end([process])[0]
                    asked.lost += 1
                    if asked.lost == 2:
                        return asked.key, asked.task.lost(f"{LOST}: {how}")
                    self._begin(asked)
                    continue
                if isinstance(answer, _Begun):
                    process.until = time.monotonic() + self._limits.seconds
                    continue
                asked = self._busy.pop(process)
                process.fresh = False
                self._idle.append(process)
                if isinstance(answer, _Raised):
                    raise answer.error
                return asked.key, answer
            for process in list(self._busy):
                if answer := self._stopped(process):
                    return answer
            if left <= 0:
                return None

    def _stopped(self, process: "_Process") -> tuple[Any, Any] | None:
        """The answer to a task that took too much; None where it may go on, here or in another process."""
        late = time.monotonic() > process.until
        large = not late and resident_bytes(tree(process.process.pid)) > self._limits.bytes
        if not late and not large:
            return None
        asked = self._busy.pop(process)
        kill_tree(process.process.pid)
        _end([process])
        if large and not process.fresh:  # perhaps it is what earlier tasks left there
            self._begin(asked)
            return None
        return asked.key, asked.task.lost(self._limits.too_long() if late else self._limits.too_large())

    def cancel(self) -> None:
        _end(list(self._busy))
        self._busy.clear()

    def _begin(self, asked: _Asked) -> None:
        while True:
            process = self._idle.pop() if self._idle else _Process(self._plan)
            try:
                process.connection.send((asked.group, asked.task))
            except ConnectionError:  # it died idle
                _end([process])
                continue
            process.until = time.monotonic() + self._limits.seconds + STARTING
            self._busy[process] = asked
            return


Pool = InProcess | Processes


def answers(pool: Pool, group: int, tasks: Iterable[Task]) -> Iterator[tuple[Task, Any]]:
    """Tasks about the group of that number with their answers, as they are done.

    Raises:
        ToolchainMissing: the compiler went away.
    """
    waiting, running = deque(tasks), 0
    try:
        while waiting or running:
            while waiting and pool.free:
                task = waiting.popleft()
                pool.submit(task, group, task)
                running += 1
            answer = pool.wait()
            running -= 1
            yield answer
    except BaseException:
        pool.cancel()
        raise


@dataclass(eq=False)
class _Process:
    """One process and the way to it; ``fresh`` if it has answered nothing, ``until`` when its task must be done."""

    plan: Plan
    connection: Connection = field(init=False)
    fresh: bool = True
    until: float = 0.0

    def __post_init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, self.plan), daemon=True)
        self.process.start()
        theirs.close()


@dataclass(frozen=True)
class _Begun:
    """What a process says when it has all that its task takes: the task's time begins."""


@dataclass(frozen=True)
class _Raised:
    """What a task raised."""

    error: BaseException


def _end(processes: Sequence[_Process]) -> list[str]:
    """End them and whatever they started; how each of them ended."""
    for each in processes:
        each.process.terminate()
    ends = []
    for each in processes:
        each.process.join(GRACE)
        if each.process.is_alive():
            kill_tree(each.process.pid)
            each.process.join()
        each.connection.close()
        code = each.process.exitcode
        ends.append(signal.Signals(-code).name if code < 0 else f"exit code {code}")
    return ends


def _serve(connection: Connection, plan: Plan) -> None:
    """Answers tasks until there is nobody to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal; the parent decides
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    place: Workplace | None = None
    while True:
        try:
            group, task = connection.recv()
        except EOFError:
            return
        try:
            place = place or plan.workplace()
            connection.send(_Begun())
            answer = place.do(group, task)
        except Exception as error:
            answer = _Raised(_sendable(error))
        connection.send(answer)


def _sendable(error: Exception) -> Exception:
    from multiprocessing.reduction import ForkingPickler

    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
        return error
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")


def _leave(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)  # by way of whatever ends the compiler's processes


def _leave_with_parent() -> None:
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    kill_tree(os.getpid())  # it hangs where no signal is heard
