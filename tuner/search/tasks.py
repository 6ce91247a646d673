"""What a search has done for it, here or in another process: messages that can be sent, and where they are done."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from cold_kernels.ascend.errors import AscendError, ToolchainMissing
from cold_kernels.ascend.machine import Machine
from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.spec import KernelSpec
from cold_kernels.specs import load

from .evaluate import Evaluator
from .group import Group
from .timed import ChipTimes, timed_on
from .trial import Outcome, attempt, problem

CHIPS = 32
LOST = "ended the process that tried it, twice"
"""What becomes of work that takes its process down; how it ended follows."""


class Workplace:
    """Groups of kernels with what evaluates them, in one process."""

    def __init__(self, machine: Machine, groups: Sequence[Group]) -> None:
        self.machine = machine
        self.groups = groups
        self._evaluators: dict[KernelSpec, Evaluator] = {}

    @functools.cached_property
    def chips(self) -> list[Any]:
        return self.machine.chip.plausible(CHIPS)

    def evaluator(self, spec: KernelSpec) -> Evaluator:
        if spec not in self._evaluators:
            self._evaluators[spec] = Evaluator(spec, self.machine)
        return self._evaluators[spec]

    def do(self, group: int, task: "Task") -> Any:
        """The answer to ``task`` about the group of that number.

        Raises:
            ToolchainMissing: the compiler went away.
        """
        found = self.groups[group]
        return task.do(found, self.evaluator(found.spec), self)


@dataclass(frozen=True)
class Attempt:
    """A trial; the answer is its `Outcome`."""

    config: Record
    best: float

    def do(self, group: Group, evaluator: Evaluator, place: Workplace) -> Outcome:
        return attempt(group, evaluator, self.config, self.best)

    def lost(self, why: str) -> Outcome:
        """The answer where nothing could give one; ``why`` is what follows "it"."""
        return Outcome("legal", failure=why)


@dataclass(frozen=True)
class TimeOnChips:
    """A configuration's times on the plausible chips; the answer is `ChipTimes`, or why there are none."""

    config: Record
    case: Case

    def do(self, group: Group, evaluator: Evaluator, place: Workplace) -> ChipTimes | str:
        try:
            return timed_on(evaluator, self.config, self.case, place.chips)
        except ToolchainMissing:
            raise
        except AscendError as error:
            return f"cannot be timed: {error}"

    def lost(self, why: str) -> str:
        return why


@dataclass(frozen=True)
class Check:
    """A comparison with float64; the answer is what speaks against the configuration, or ""."""

    config: Record
    case: Case
    needed: bool

    def do(self, group: Group, evaluator: Evaluator, place: Workplace) -> str:
        return problem(evaluator, self.config, self.case, needed=self.needed) or ""

    def lost(self, why: str) -> str:
        return why


Task = Attempt | TimeOnChips | Check


@dataclass(frozen=True)
class Plan:
    """A `Workplace` to be: what another process makes its own one from, as machines and specs cannot be sent.

    Args:
        machine_for: Makes the machine; a function at the top level of a module.
        chip: What it is called with.
        groups: For each group its kernel, in the words of `cold_kernels.specs.load`, and its other fields.
    """

    machine_for: Callable[[str], Machine]
    chip: str
    groups: tuple[tuple[str, dict[str, Any]], ...]

    @classmethod
    def of(cls, machine_for: Callable[[str], Machine], chip: str, groups: Sequence[tuple[str, Group]]) -> "Plan":
        names = [field.name for field in fields(Group) if field.name != "spec"]
        listed = [(kernel, {name: getattr(group, name) for name in names}) for kernel, group in groups]
        return cls(machine_for, chip, tuple(listed))

    def workplace(self) -> Workplace:
        return Workplace(
            self.machine_for(self.chip), [Group(spec=load(kernel), **fields_) for kernel, fields_ in self.groups]
        )
