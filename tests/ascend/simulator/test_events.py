"""Events of a trace are compared by kind and content: equal programs are timed once."""

from dataclasses import FrozenInstanceError

import pytest

pytest.importorskip("xdsl")
from cold_kernels.ascend.simulator.trace.events import (
    ALL,
    Arrive,
    Barrier,
    FlagId,
    Issue,
    Lock,
    Meet,
    ScalarAccess,
    ScalarWork,
    SetFlag,
    Unlock,
    WaitFlag,
    issues,
)
from cold_kernels.ascend.simulator.trace.work import LOAD, VECTOR, work

FLAG = FlagId(LOAD, VECTOR, 3)
LOADED = work(LOAD, (("load_issue", 1),), 64)


def one_of_each():
    return (
        ScalarWork(2), ScalarAccess(True), Issue(LOADED), SetFlag(FlagId(LOAD, VECTOR, 3)), WaitFlag(FLAG),
        Barrier(ALL), Lock(64), Unlock(64), Arrive(LOAD, 64), Meet(64),
    )  # fmt: skip


def test_equal_traces_are_one():
    assert len({one_of_each(), one_of_each(), one_of_each()[1:]}) == 2


def test_kinds_with_the_same_fields_differ():
    assert len(set(one_of_each())) == len(one_of_each())
    assert SetFlag(FLAG) != WaitFlag(FLAG) and Lock(64) != Unlock(64) != Meet(64)


def test_an_event_stays_what_it_is():
    for event in one_of_each()[1:]:
        with pytest.raises(FrozenInstanceError):
            event.op = "another"


def test_equal_work_of_an_operation_is_one_object():
    issue = issues("vadd")
    assert issue(LOADED) is issue(work(LOAD, (("load_issue", 1),), 64)) and issue(LOADED).op == "vadd"


def test_a_flag_is_named_as_the_compiler_names_it():
    assert str(FLAG) == "event 3 of MTE2 for V"
