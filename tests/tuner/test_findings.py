"""Named findings: each on a small kernel that has it and on one that has not, and what ``--fail-on`` makes of them."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

for needed in ("triton", "xdsl", "ml_dtypes", "rich"):
    pytest.importorskip(needed)
from cold_kernels.ascend.findings.codes import CODES
from cold_kernels.ascend.findings.scalar_fallback import scalar_fallback
from cold_kernels.ascend.simulator.trace.events import Issue
from cold_kernels.ascend.simulator.trace.fallbacks import UNALIGNED_ROWS
from cold_kernels.ascend.simulator.trace.work import VECTOR, work
from cold_kernels.ascend.toolchain import toolchain_problem
from cold_kernels.specs import KERNELS
from tuner.__main__ import main
from tuner.profile.findings.fail_on import broken, rules

KERNELS_FILE = Path(__file__).parent / "finding_kernels.py"
PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()
compiled = pytest.mark.skipif(toolchain_problem() is not None, reason="the Ascend compiler is not installed")


def run(capsys, kernel, signature="", grid=1, options=(), code=0):
    given = ["--signature", signature, "--grid", str(grid)] if signature else []
    assert main(["simulate", f"{KERNELS_FILE}:{kernel}", *given, "--json", *options]) == code
    said = capsys.readouterr()
    return json.loads(said.out)


def found(capsys, *arguments, **more):
    return run(capsys, *arguments, **more)["findings"]


def pair(element, out=None, extra=""):
    return f"x_ptr=*{element}[256] {extra}y_ptr=*{out or element}[256] TILE=256"


INDEXED = pair("fp32", extra="i_ptr=*i32[256]:arange ")
FALLBACKS = [
    ("remainder", pair("i32"), "% 7", "% of i32"),
    ("remainder", pair("i64"), "% 7", "% of i64"),
    ("quotient", pair("i64"), "// 7", "integer division of i64"),
    ("add_three", pair("i64"), "+ 3", "int64 (addi of i64)"),
    ("compare", pair("i64", "fp32"), "< 5", "int64 (cmpi of i64)"),
    ("gather", INDEXED, "tl.load(x_ptr + i)", "a gather by a vector of indices"),
    ("scatter", INDEXED, "tl.store(y_ptr + tl.load", "a scatter by a vector of indices"),
    ("running_sum", "x_ptr=*fp32[256] y_ptr=*fp32[256] N=8 M=32 AXIS=1", "tl.cumsum", "a running result (addf of f32)"),
    ("total", "x_ptr=*i32[256] y_ptr=*i32[1] TILE=256", "tl.sum", "vreduce"),
]


@compiled
@pytest.mark.parametrize(("kernel", "signature", "text", "why"), FALLBACKS, ids=[why for *_, why in FALLBACKS])
def test_a_scalar_fallback_has_its_line_and_its_reason(kernel, signature, text, why, capsys):
    (one,) = found(capsys, kernel, signature)
    assert one["code"] == "scalar-fallback" and why in one["reason"] and one["help"]
    assert text in one["text"] and one["file"].endswith("finding_kernels.py")
    assert KERNELS_FILE.read_text().splitlines()[one["line"] - 1].strip() == one["text"]
    assert one["share"] > 0.1 and one["cycles"] > 0 and one["us"] > 0


@compiled
@pytest.mark.parametrize(
    ("kernel", "signature"),
    [
        ("remainder_by_hand", pair("i32")),
        ("quotient", pair("i32")),
        ("add_three", pair("i32")),
        ("add_three_narrow", pair("i64", "i32")),
        ("compare", pair("fp32")),
        ("gather_from_table", INDEXED),
        ("gather_rows", "x_ptr=*fp32[64,256] i_ptr=*i32[8]:arange y_ptr=*fp32[8,256] N=8 TILE=256"),
        ("running_sum", "x_ptr=*fp32[256] y_ptr=*fp32[256] N=8 M=32 AXIS=0"),
        ("total", "x_ptr=*fp32[256] y_ptr=*fp32[1] TILE=256"),
    ],
)
def test_what_the_vector_unit_does_is_no_fallback(kernel, signature, capsys):
    assert found(capsys, kernel, signature) == []


@compiled
def test_the_price_is_what_the_launch_is_shorter_by(capsys):
    slow, quick = (run(capsys, kernel, pair("i32")) for kernel in ("remainder", "remainder_by_hand"))
    (one,) = slow["findings"]
    assert one["cycles"] == pytest.approx(slow["cycles"] - quick["cycles"], rel=0.2)
    assert one["share"] == pytest.approx(one["cycles"] / slow["cycles"])
    assert one["us"] == pytest.approx(one["cycles"] / 1850, rel=0.2)


@compiled
def test_what_an_operation_says_of_its_own_fallback_is_the_reason(capsys):
    from cold_kernels.ascend.machine import ascend_machine
    from tuner.parsing import options_of
    from tuner.profile.profiled import ProfiledKernel, spec_or_function
    from tuner.profile.signature import bind

    call = bind(spec_or_function(f"{KERNELS_FILE}:add_three"), pair("i32"), (1,), options_of("").chosen())
    (launch,) = ProfiledKernel("add_three", ascend_machine("Ascend910B3"), lambda: [call]).launches
    assert not list(scalar_fallback(launch))
    execution = launch.simulation.execution
    (trace,) = execution.traces

    def told(event):
        if not isinstance(event, Issue) or event.work.pipe != VECTOR:
            return event
        return Issue(work(VECTOR, (("scalar_local", 2),), fallback=UNALIGNED_ROWS), event.op)

    changed = replace(execution, traces=(tuple(map(told, trace)),))
    simulation = replace(launch.simulation, execution=changed, cycles=launch.simulation.cycles + 100)
    known = SimpleNamespace(simulation=simulation, kernel=launch.kernel, function=launch.function)
    (one,) = scalar_fallback(known)
    assert one.reason == "vadd: its rows are no multiple of 32 bytes apart" and one.cycles > 0


@compiled
def test_rows_below_64_bytes_are_short_copies(capsys):
    loaded, stored = sorted(
        found(capsys, "rows_of", "x_ptr=*fp32[64,64] y_ptr=*fp32[64,64] ROW=64 N=64 M=8"), key=lambda one: one["reason"]
    )
    assert {loaded["code"], stored["code"]} == {"short-copies"} or loaded is stored
    assert "64 bursts of 32 bytes are loaded" in loaded["reason"] and "stored" in stored["reason"]
    assert loaded["cycles"] > 0 and stored["cycles"] > 0
    assert found(capsys, "rows_of", "x_ptr=*fp32[64,64] y_ptr=*fp32[64,64] ROW=64 N=64 M=16") == []


@compiled
def test_more_programs_than_cores(capsys):
    signature = "x_ptr=*fp32[41984] y_ptr=*fp32[41984] n=41984 TILE=512"
    (one,) = found(capsys, "exponential", signature, grid=82)
    assert one["code"] == "grid-beyond-cores" and "82 programs on 40 vector cores" in one["reason"]
    assert one["text"].startswith("def exponential") and 0 < one["share"] < 1
    assert found(capsys, "exponential", signature, grid=40) == []


@compiled
def test_a_load_with_one_buffer_is_exposed(capsys):
    signature = "x_ptr=*fp32[16384] y_ptr=*fp32[16384] n=16384 TILE=512"
    (one,) = found(capsys, "exponential", signature, options=["--options", "multi_buffer=False"])
    assert one["code"] == "exposed-latency" and "31 of 31 turns" in one["reason"] and "one buffer" in one["reason"]
    assert "multi_buffer" in one["help"] and one["share"] > 0.2
    assert found(capsys, "exponential", signature) == []


@compiled
def test_both_sides_of_a_mask_are_loaded(capsys):
    signature = "a_ptr=*fp16[8192] b_ptr=*fp16[8192] m_ptr=*i32[8192] y_ptr=*fp32[8192] TILE=8192"
    (one,) = found(capsys, "either", signature)
    assert one["code"] == "masked-branches" and "both sides" in one["reason"] and "tl.where" in one["text"]
    assert one["cycles"] > 0
    assert found(capsys, "either_whole", signature) == []
    assert found(capsys, "either_and_both", signature) == []


@compiled
def test_tiles_that_are_filled_before_their_load(capsys):
    (one,) = found(capsys, "row_sum", "x_ptr=*fp32[16000] y_ptr=*fp32[1] n=16000:i32 TILE=16384")
    assert one["code"] == "masked-branches" and "filled with `other`" in one["reason"]
    assert found(capsys, "row_sum", "x_ptr=*fp32[16384] y_ptr=*fp32[1] n=16384:i32 TILE=16384") == []


@compiled
@pytest.mark.parametrize("shape", ["", "T=1", "T=64"])  # 64 is the limit
def test_a_constexpr_that_follows_the_batch(shape, capsys):
    options = ["--shape", shape] if shape else []
    (one,) = [one for one in found(capsys, "twice_fixed", options=options) if one["code"] != "exposed-latency"]
    assert one["code"] == "constexpr-follows-batch" and "T is a tl.constexpr and follows T" in one["reason"]
    assert "T: tl.constexpr" in one["text"] and (one["cycles"], one["us"], one["share"]) == (None, None, None)
    assert "constexpr-follows-batch" not in {one["code"] for one in found(capsys, "twice", options=options)}


@compiled
@pytest.mark.parametrize("kernel", ["gather_rows", "twice_somewhere"])
def test_a_batch_that_nobody_names_cannot_be_asked_for(kernel, capsys):
    signature = "x_ptr=*fp32[64,256] i_ptr=*i32[8] y_ptr=*fp32[8,256] N=8 TILE=256"
    given = ["--signature", signature, "--grid", "1"] if kernel == "gather_rows" else []
    arguments = ["simulate", f"{KERNELS_FILE}:{kernel}", *given, "--fail-on", "constexpr-follows-batch"]
    assert main(arguments) == 2
    assert f"which dimension of {kernel} is the batch" in capsys.readouterr().err
    assert run(capsys, kernel, signature * bool(given))["unchecked"] == ["constexpr-follows-batch"]
    assert run(capsys, "twice")["unchecked"] == []


@compiled
def test_what_is_shipped_has_no_finding_of_a_mistake(capsys):
    """A load that is exposed is a fact of a kernel's order, as is that the cube waits for what the vector cores round
    between two products. All other findings are mistakes."""
    facts = {"exposed-latency", "waiting-cube"}
    for kernel in KERNELS:
        assert main(["simulate", kernel, "--json"]) == 0
        mistakes = {one["code"] for one in json.loads(capsys.readouterr().out)["findings"]} - facts
        assert not mistakes, kernel


@compiled
@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (["scalar-fallback"], 3),
        (["any"], 3),
        (["short-copies, scalar-fallback"], 3),
        (["short-copies", "scalar-fallback:50%"], 3),
        (["scalar-fallback:99.9%"], 0),
        (["short-copies,grid-beyond-cores"], 0),
    ],
)
def test_the_command_fails_on_what_it_is_told(wanted, code, capsys):
    options = [word for one in wanted for word in ("--fail-on", one)]
    arguments = ["simulate", f"{KERNELS_FILE}:remainder", "--signature", pair("i32"), "--grid", "1", *options]
    assert main(arguments) == code
    said = capsys.readouterr()
    assert "scalar-fallback at" in said.out and "why: % of i32" in said.out
    assert ("scalar-fallback at" in said.err) == bool(code) and said.err.count("\n") == bool(code)


BAD = [
    ("fallback", "there is no finding 'fallback'; use scalar-fallback, short-copies"),
    ("", "there is no finding ''"),
    ("short-copies:5", "from 0% to 100%: short-copies:5%"),
    ("short-copies:120%", "from 0% to 100%"),
    ("any:nan%", "from 0% to 100%"),
    ("constexpr-follows-batch:5%", "no share of cycles; write constexpr-follows-batch alone"),
]


@pytest.mark.parametrize(("wanted", "complaint"), BAD)
def test_a_bad_rule_is_told_before_anything_runs(wanted, complaint, capsys):
    assert main(["simulate", "no_such_kernel", "--fail-on", wanted]) == 2
    said = capsys.readouterr()
    assert complaint in said.err and said.err.count("\n") == 1 and not said.out


def test_a_threshold_is_of_all_findings_of_a_code(capsys):
    def one(code, share):
        return {"code": code, "share": share, "file": "a.py", "line": 1}

    several = [one("short-copies", 0.03), one("short-copies", 0.03), one("constexpr-follows-batch", None)]
    assert broken(rules(["short-copies:6%"]), several) and not broken(rules(["short-copies:7%"]), several)
    assert broken(rules(["any:50%"]), several)  # what has no price in cycles is never below a threshold
    assert not broken(rules(["any:50%"]), several[:2]) and not broken(rules(["masked-branches:0%"]), several)
    capsys.readouterr()


def test_the_page_has_every_code():
    for code in CODES:
        assert f"| `{code}` |" in PAGE, code
    assert "`--fail-on scalar-fallback" in PAGE


@compiled
def test_the_page_shows_what_is_printed(capsys, monkeypatch):
    monkeypatch.chdir(KERNELS_FILE.parents[2])
    ((command, shown),) = re.findall(
        r"```\n\$ python -m tuner (simulate .*?--fail-on .*?)\n\.\.\.\n(.*?)```", PAGE, re.DOTALL
    )
    assert main(shlex.split(command.replace("\\\n", ""))) == 3
    said = capsys.readouterr()
    assert shown == f"findings: {said.out.partition('findings: ')[2]}{said.err}"


MATRICES = "a_ptr=*fp16[64,64] b_ptr=*fp16[64,64] c_ptr=*{}[64,64] N=64"


@compiled
def test_an_operand_that_a_vector_core_turns(capsys):
    both = found(capsys, "turned", MATRICES.format("fp32"))
    (one,) = [finding for finding in both if finding["code"] == "turned-operand"]
    assert one["text"] == "b = tl.load(b_ptr + p * N + o)" and one["share"] > 0.5 and "tl.trans" in one["help"]


@compiled
def test_a_cube_core_that_waits_for_its_vector_cores(capsys):
    several = found(capsys, "between_products", MATRICES.format("fp16") + " TIMES=4")
    (one,) = [finding for finding in several if finding["code"] == "waiting-cube"]
    assert one["share"] > 0.05 and "waits" in one["reason"] and one["file"].endswith("finding_kernels.py")
    assert not any(finding["code"] == "turned-operand" for finding in several)
