"""Whether a mutant is wrong, whether it was found, and so how good the finding is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...errors import AscendError
from ...program import Program
from ..core.binding import contents, detached
from ..execute.launch import GridLaunch
from ..hazards.find import find_hazards
from .interleaving import can_differ
from .mutants import Mutant, mutants

KILLED, SURVIVED, EQUIVALENT = "killed", "survived", "equivalent"


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant.

    Args:
        mutant: The mutant.
        wrong: How its outputs can differ, by random orders of its pipes; None if they never did.
        found: What was reported of it.
    """

    mutant: Mutant
    wrong: str | None
    found: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """``killed``: wrong and reported; ``survived``: wrong, not reported; ``equivalent``: not seen to be wrong."""
        if self.wrong is None:
            return EQUIVALENT
        return KILLED if self.found else SURVIVED


def verdicts(program: Program, args: Sequence, grid: Sequence[int], orders: int, most: int = 0) -> Iterator[Verdict]:
    """Judge the mutants of a launch (`mutants`), each by as many random orders of its pipes as ``orders`` says.

    Raises:
        AscendError: the program as it was compiled has hazards, or comes out otherwise in another order.
    """
    launch, work = GridLaunch(program, grid), detached(args)
    with launch.held():
        launch.run(work)
    expected = contents(work)
    alarms = [*map(str, find_hazards(program, args, grid)), can_differ(launch, args, expected, orders)]
    if any(alarms):
        raise AscendError(f"{program.name} as it was compiled: {next(filter(None, alarms))}")
    for mutant in mutants(program, args, grid, most):
        try:
            found = tuple(map(str, find_hazards(mutant.program, args, grid, severities=False)))
            wrong = can_differ(GridLaunch(mutant.program, grid), args, expected, orders)
        except AscendError as error:  # what cannot be translated is neither run nor overlooked
            found, wrong = (str(error),), str(error)
        yield Verdict(mutant, wrong, found)
