"""A launch that is run again with other bytes somewhere: whether it comes out the same."""

from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from io import StringIO

from ...errors import AscendError
from ..core.strays import STRAY
from ..execute.launch import GridLaunch
from ..execute.translate import OperationObserver
from .poison import Diverged, Poisoner, Spoil
from .undo import Undo


class Again:
    """A launch that is run again and then taken back.

    Args:
        outcome: Traces, what is written, and what is printed, as it was without.
    """

    def __init__(self, launch: GridLaunch, args: Sequence, outcome: tuple) -> None:
        self.launch, self.args, self.outcome = launch, args, outcome

    def run(self, observer: OperationObserver, stray: int = STRAY) -> tuple:
        """What comes of it: traces, what is written, what is printed."""
        undo = Undo()

        def watch(op, touches, step, env: list) -> None:
            undo.keep(touches(env).writes if touches else ())
            observer(op, touches, step, env)

        with redirect_stdout(StringIO()) as text:
            try:
                traces = self.launch.run_once(self.args, watch, stray=stray)
                return traces, undo.contents(), text.getvalue()
            finally:
                undo.back()

    def same(
        self,
        spoils: Iterable[Spoil],
        *,
        apart: bool = False,
        stray: int = STRAY,
        watch: OperationObserver | None = None,
    ) -> bool:
        """Whether it comes out the same, and does the same on its way; ``watch`` observes it before anything is left
        behind."""
        try:
            return self.run(Poisoner(self.launch.core, spoils, self.outcome[0], apart, watch), stray) == self.outcome
        except (AscendError, Diverged, MemoryError):
            return False
