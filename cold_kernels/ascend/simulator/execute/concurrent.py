"""Programs that wait for each other at a barrier of all cores: each has its own state, one runs at a time."""

import threading
from collections import Counter
from collections.abc import Callable

import numpy as np

from ...errors import Deadlock
from ..trace.events import Event, Trace


class ConcurrentPrograms:
    """Runs the programs of a launch side by side on one core object, whose state goes with whoever runs.

    Args:
        core: Its ``block``, ``trace`` and buffer are swapped whenever another program goes on.
        count: Programs.
    """

    def __init__(self, core, count: int) -> None:
        self.core, self.count = core, count
        self.arrived: Counter[tuple[int, int]] = Counter()
        self.met: Counter[tuple[int, int]] = Counter()
        self._given_up = False
        self._back = threading.Semaphore(0)
        self._go = [threading.Semaphore(0) for _ in range(count)]
        self._waiting: dict[int, int] = {}
        """The barrier at which each program waits that is not ready."""

    def run(self, program: Callable[[int], list[Event]]) -> list[Trace]:
        """The traces of all programs; the first one's error if one fails.

        Raises:
            Deadlock: every program that is left waits for one that has ended, or for another barrier.
        """
        traces: list[Trace] = [()] * self.count
        errors: list[BaseException] = []
        left = list(range(self.count))

        def body(block: int) -> None:
            self._go[block].acquire()
            try:
                if not self._given_up:
                    with np.errstate(all="ignore"):
                        traces[block] = tuple(program(block))
            except BaseException as error:
                errors.append(error)
            left.remove(block)
            self._back.release()

        threads = [threading.Thread(target=body, args=(block,), daemon=True) for block in left]
        for thread in threads:
            thread.start()
        while left and not errors:
            ready = [block for block in left if self._may_go(block)]
            if not ready:
                flags = ", ".join(map(str, sorted(set(self._waiting.values()))))
                errors.append(Deadlock(f"programs wait at a barrier of all cores (flag {flags}) that not all come to"))
            for block in ready:
                if not errors:
                    self._go[block].release()
                    self._back.acquire()
        self._given_up = True
        for block in list(left):
            self._go[block].release()
            self._back.acquire()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return traces

    def arrive(self, barrier: int) -> None:
        """The program that runs has come to the barrier of this number."""
        self.arrived[barrier, self.core.block] += 1

    def meet(self, barrier: int) -> None:
        """Return when all programs have come to it as often as this one has waited."""
        core = self.core
        block, trace = core.block, core.trace
        self.met[barrier, block] += 1
        self._waiting[block] = barrier
        kept = core.buffer.copy()
        self._back.release()
        self._go[block].acquire()
        if self._given_up:
            raise Deadlock("another program failed")
        core.block, core.trace = block, trace
        core.buffer[...] = kept

    def _may_go(self, block: int) -> bool:
        barrier = self._waiting.get(block)
        if barrier is None:
            return True
        if min(self.arrived[barrier, other] for other in range(self.count)) < self.met[barrier, block]:
            return False
        del self._waiting[block]
        return True
