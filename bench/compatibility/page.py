"""The report as a page of Markdown."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .causes import CAUSES, Whose
from .repositories import Repository
from .summary import GOAL_ALL, GOAL_EACH, GOAL_OURS, Failure, Summary, total

HEAD = """# Other people's tests on the simulated NPU

<!-- written by `python -m bench compatibility`; do not edit -->

Tests of Triton kernels from public repositories, as they are, on the simulated {chip} (`python -m pytest -p
cold_kernels.npu`). Nothing here was measured on a device. Their code is not part of this repository.

**{passed} of {counted} counted tests pass ({share:.1%}); {ours} ({of_ours:.1%}) do not for reasons of ours.** Counted
is what could pass here: not the tests that need what is named "not counted" below, nor those that their authors skip.
Tests that launch a program of the cube core, as `tl.dot` becomes, are counted by themselves as well.
The goal is at least {each:.0%} in each repository and {all:.0%} over all, and at most {most:.0%} for reasons of ours.

With {versions}; hazards are errors.
"""
AGAIN = """
## Run it again

```bash
python -m bench compatibility FOLDER --out docs/compatibility.md --json compatibility.json
```

`FOLDER` holds the checkouts, each under its name above. Packages that the tests import beside
`cold-kernels[ascend,decode,dev]`:

{packages}
"""


def page(report: Mapping[str, Any], repositories: Mapping[str, Repository], summaries: Sequence[Summary]) -> str:
    """The whole page.

    Args:
        report: With ``chip``, ``versions`` in words, and by name ``repositories``, each with ``commit``, ``date``, the
            options ``most`` and ``limit``, and how it ``ended`` where not all of its tests ran.
    """
    everything = total(summaries)
    head = HEAD.format(
        chip=report["chip"], passed=everything.passed, counted=everything.counted, share=everything.share,
        ours=everything.whose(Whose.OURS), of_ours=everything.of_ours, each=GOAL_EACH, all=GOAL_ALL, most=GOAL_OURS,
        versions=report["versions"],
    )  # fmt: skip
    packages = "\n".join(f"- {name}: {repositories[name].packages or 'none'}" for name in report["repositories"])
    lines = [head, *_table(report, summaries), "", "## By cause", "", *_causes(summaries)]
    for one in summaries:
        note = repositories[one.name].note
        lines += [
            "",
            f"## {one.name}",
            "",
            *([note, ""] if note else ()),
            *_repository(one, report["repositories"][one.name]),
        ]
    return "\n".join(lines) + "\n" + AGAIN.format(packages=packages)


def _table(report: Mapping[str, Any], summaries: Sequence[Summary]) -> Iterator[str]:
    heads = ("repository", "commit", "date", "ran", "passed", "not counted", "theirs", "ours", "passed of counted")
    yield f"| {' | '.join(heads)} |"
    yield f"|---|---|---|{'--:|' * 6}"
    for one in (*summaries, total(summaries)):
        about = report["repositories"].get(one.name, {})
        whose = [one.whose(whose) for whose in (Whose.NOBODY, Whose.THEIRS, Whose.OURS)]
        cells = [
            one.name,
            about.get("commit", ""),
            about.get("date", ""),
            one.ran,
            one.passed,
            *whose,
            one.passed_of_counted,
        ]
        yield f"| {' | '.join(map(str, cells))} |"


def _causes(summaries: Sequence[Summary]) -> Iterator[str]:
    """A row a cause, with what it means."""
    yield f"| cause | counted as | {' | '.join(one.name for one in summaries)} | what it means |"
    yield f"|---|---|{'--:|' * len(summaries)}---|"
    for cause in CAUSES:
        numbers = [one.by_cause[cause] for one in summaries]
        if any(numbers):
            cells = (cause.name, cause.whose.value, *(number or "" for number in numbers), cause.words)
            yield f"| {' | '.join(map(str, cells))} |"


def _repository(one: Summary, about: Mapping[str, Any]) -> Iterator[str]:
    cases = f"at most {about['most']} cases of a function, evenly spread" if about["most"] else "all cases"
    limit = f"{about['limit']:g} s for a test and for a launch"
    yield f"{one.ran} tests ran ({cases}; {limit}), {one.passed} passed, {one.skipped} are skipped by their authors."
    if one.with_cube is not None:
        cube = one.with_cube
        share = f"{cube.passed} of {cube.counted} counted passed ({cube.passed_of_counted})"
        yield f"With `tl.dot`: {cube.ran} ran, {share if cube.counted else 'none is counted'}."
    if about.get("ended"):
        yield f"Not all of the tests were reached: {about['ended']}."
    if one.files:
        yield "\nNot imported, and not counted:\n"
        yield from _listed(one.files)
    for cause in CAUSES:
        found = [failure for failure in one.failures if failure.cause is cause]
        if found:
            yield f"\n{cause.name} ({cause.whose.value}):\n"
            yield from _listed(found)


def _listed(failures: Sequence[Failure]) -> Iterator[str]:
    """A line for all cases of a function that ended in the same words."""
    cases: dict[tuple[str, str], list[str]] = defaultdict(list)
    for failure in failures:
        function, _, case = failure.test.partition("[")
        cases[function, failure.words].append(case.rstrip("]"))
    for (function, words), found in cases.items():
        named = f"[{', '.join(found)}]" if any(found) else ""
        yield f"- `{function}{named}`: {words.replace('|', chr(92) + '|')}"
