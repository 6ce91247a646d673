"""What is counted, and how the page says it."""

import pytest

from bench.compatibility.page import page
from bench.compatibility.repositories import Repository
from bench.compatibility.summary import summary, total

OURS = "UnsupportedProgram: llvm.inline_asm at k.py:3: this operation is not simulated"


def row(test, outcome="passed", *errors, when="call"):
    return {"test": test, "function": test.partition("[")[0], "when": when, "outcome": outcome, "errors": list(errors)}


@pytest.fixture
def one():
    rows = [
        row("a.py::test_one[1]"),
        row("a.py::test_one[2]", "failed", OURS),
        row("a.py::test_two", "failed", "OutOfBounds: load at k.py:9: elements 0 to 9 of x, which has 8"),
        row("a.py::test_three", "failed", "MLIRCompilationError: error: it does not compile"),
        row("a.py::test_four", "skipped", "Skipped: not here"),
        row("b.py", "failed", "E   ModuleNotFoundError: No module named 'sglang'", when="collect"),
        row("b.py", "failed", "E   ModuleNotFoundError: No module named 'sglang'", when="collect"),
    ]
    return summary("theirs", rows)


def test_what_cannot_pass_here_is_not_counted(one):
    assert (one.ran, one.passed, one.skipped, one.counted, len(one.files)) == (4, 1, 1, 3, 1)
    assert one.share == pytest.approx(1 / 3) and one.of_ours == pytest.approx(1 / 3)


def test_a_total_adds_up(one):
    both = total([one, one])
    assert (both.ran, both.passed, both.counted) == (8, 2, 6)


def test_nothing_counted_is_no_failure():
    assert summary("empty", []).share == 1.0


def test_a_test_that_was_settled_has_the_settled_cause():
    known = summary("triton-ascend", [row("x/test_cdiv.py::test_cdiv[1]", "failed", "AssertionError: not equal")])
    assert [(failure.cause.name, failure.words[:7]) for failure in known.failures] == [("test", "divides")]
    other = summary("triton-ascend", [row("x/test_cdiv.py::test_cdiv[1]", "failed", OURS)])
    assert other.failures[0].cause.name == "unsupported"


def test_the_page_lists_every_test_that_did_not_pass(one):
    about = {"commit": "abc", "date": "2026-11-30", "most": 3, "limit": 60.0, "ended": ""}
    report = {"chip": "Ascend910B3", "versions": "torch 2", "repositories": {"theirs": about}}
    text = page(report, {"theirs": Repository("theirs", "https://example.org", packages="einops")}, [one])
    assert "**1 of 3 counted tests pass (33.3%); 1 (33.3%) do not for reasons of ours.**" in text
    assert "| theirs | abc | 2026-11-30 | 4 | 1 | 1 | 1 | 1 | 33.3% |" in text
    for name in ("a.py::test_one[2]", "a.py::test_two", "a.py::test_three", "b.py"):
        assert f"- `{name}`: " in text
    assert "- theirs: einops" in text and "a.py::test_one[1]" not in text


def test_tests_with_products_are_counted_by_themselves():
    rows = [
        row("a.py::test_one[1]") | {"cube": True},
        row("a.py::test_one[2]", "failed", OURS) | {"cube": True},
        row("a.py::test_two", "failed", "MLIRCompilationError: error: it does not compile") | {"cube": True},
        row("a.py::test_three") | {"cube": False},
        row("b.py", "failed", "ImportError: no", when="collect"),
    ]
    whole = summary("theirs", rows)
    cube = whole.with_cube
    assert (whole.ran, whole.passed, len(whole.files)) == (4, 2, 1)
    assert (cube.ran, cube.passed, cube.counted, len(cube.files)) == (3, 1, 2, 0)
    about = {"commit": "abc", "date": "2026-11-30", "most": 3, "limit": 60.0, "ended": ""}
    report = {"chip": "Ascend910B3", "versions": "torch 2", "repositories": {"theirs": about}}
    text = page(report, {"theirs": Repository("theirs", "")}, [whole])
    assert "With `tl.dot`: 3 ran, 1 of 2 counted passed (50.0%)." in text


def test_what_was_recorded_before_products_were_noted_says_nothing_of_them(one):
    assert one.with_cube is None


def test_a_repository_of_which_nothing_ran_has_no_share():
    assert summary("nothing", []).passed_of_counted == "-"
