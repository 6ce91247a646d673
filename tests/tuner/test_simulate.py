"""``python -m tuner simulate``: figures that add up, the trace's structure, the picture, and what bad input is told."""

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

for needed in ("triton", "xdsl", "ml_dtypes", "rich"):
    pytest.importorskip(needed)
from cold_kernels.ascend.simulator.profile.stalls import CAUSES
from cold_kernels.ascend.simulator.trace.work import PIPES
from cold_kernels.ascend.toolchain import toolchain_problem
from tuner.__main__ import main

HERE = Path(__file__).parent
SPEC = f"{HERE / 'tiny_spec.py'}:tiny_add"
FUNCTION = f"{HERE / 'tiny_spec.py'}:add"
SIGNATURE = "x_ptr=*fp32[4096] y_ptr=*fp32[4096]:ones z_ptr=*fp32[4096]:nan N=4096:i32 TILE=512"
compiled = pytest.mark.skipif(toolchain_problem() is not None, reason="the Ascend compiler is not installed")


def simulated(capsys, *arguments):
    assert main(["simulate", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def check(found):
    """Every cycle of every pipe is accounted for, and the parts are those of the whole."""
    assert found["evidence"].startswith("SIMULATED") and found["launches"]
    assert sum(launch["microseconds"] for launch in found["launches"]) == pytest.approx(found["microseconds"])
    for launch in found["launches"]:
        assert set(launch["pipes"]) == set(PIPES) and launch["bound"] in PIPES
        for spent in launch["pipes"].values():
            parts = spent["busy"] + spent["stalled"] + spent["idle_at_end"]
            assert parts == pytest.approx(launch["cycles"], rel=1e-9)
            assert sum(cause["cycles"] for cause in spent["causes"]) == pytest.approx(spent["stalled"])
            for cause in spent["causes"]:
                assert cause["means"] and ("set_line" in cause) == (cause["kind"] == "flag")
        assert sum(step["cycles"] for step in launch["critical_path"]) == pytest.approx(launch["cycles"], rel=1e-9)
        buffer = launch["unified_buffer"]
        assert 0 < buffer["most_live_bytes"] <= buffer["peak_bytes"] <= buffer["capacity_bytes"] == 192 * 1024
        assert max(one["address"] + one["bytes"] for one in buffer["buffers"]) <= buffer["peak_bytes"]
        for one in buffer["buffers"]:
            assert all(0 <= first < last <= buffer["cycles"] for first, last in one["live"])
        assert 0 < len(launch["lines"]) <= 10
        assert all(line["critical"] <= launch["cycles"] for line in launch["lines"])
        assert launch["hazards"] == []


@compiled
@pytest.mark.parametrize(
    ("kernel", "shape"),
    [
        ("bgmv_shrink", "T=16 R=64"),
        ("bgmv_expand", "T=8"),
        ("contrastive_score", "B=4 V=8000"),
        ("contrastive_argmax", "B=50 V=8000"),
    ],
)
def test_the_shipped_kernels_add_up(kernel, shape, capsys):
    found = simulated(capsys, kernel, "--shape", shape)
    check(found)
    assert found["kernel"] == kernel and shape.split()[0] in found["shape"]
    assert any("cold_kernels" in line["line"] and line["text"] for line in found["launches"][0]["lines"])


@compiled
def test_two_launches_and_another_configuration(capsys):
    found = simulated(capsys, "bgmv_shrink", "--config", "SPLIT_H=2 TILE_H=1024 TILE_R=4", "--chip", "Ascend910B1")
    check(found)
    assert [launch["function"] for launch in found["launches"]] == ["_shrink", "_sum_parts"]
    assert found["config"]["SPLIT_H"] == 2 and found["config_from"].startswith("--config")
    assert found["chip"] == "Ascend910B1"


@compiled
def test_the_default_is_the_typical_shape_as_a_launch_would_run_it(capsys):
    found = simulated(capsys, "bgmv_shrink")
    assert "T=16 L=4 H=4096 R=16" in found["shape"] and "exact shape in" in found["config_from"]
    own = simulated(capsys, SPEC)
    assert own["config_from"].startswith("default: no table") and own["config"]["TILE"] == 256


@compiled
def test_a_function_without_a_spec(capsys):
    found = simulated(capsys, FUNCTION, "--signature", SIGNATURE, "--grid", "8", "--options", "multi_buffer=False")
    check(found)
    (launch,) = found["launches"]
    assert (found["shape"], found["config"], launch["grid"]) == (None, None, [8])
    assert "8 programs: 32 of 40 vector cores have nothing to do" in launch["warnings"]
    assert launch["bytes_read"] == 2 * 4096 * 4 and launch["bytes_written"] == 4096 * 4


@compiled
def test_a_last_wave_that_is_nearly_empty_is_a_warning(capsys):
    waves = simulated(capsys, FUNCTION, "--signature", SIGNATURE, "--grid", "41")["launches"][0]
    assert "the last wave is nearly empty: 1 programs on 40 cores" in waves["warnings"]
    assert any("in 2 waves" in warning for warning in waves["warnings"])
    full = simulated(capsys, FUNCTION, "--signature", SIGNATURE.replace("512", "64"), "--grid", "40")["launches"][0]
    assert full["warnings"] == []


@compiled
def test_what_is_printed_says_that_it_is_simulated(capsys):
    assert main(["simulate", SPEC]) == 0
    said = capsys.readouterr().out
    for words in ("SIMULATED", "nothing was measured", "critical path", "flag MTE2 -> V", "tiny_spec.py:", "192 KiB"):
        assert words in said
    assert "tl.load(x_ptr + o_n" in said and "\x1b" not in said


@compiled
@pytest.mark.parametrize(("cores", "shown"), [("1", 1), ("8", 3)])
def test_the_trace(cores, shown, tmp_path, capsys):
    path = tmp_path / "trace.json"
    config = "TILE_H=4096 TILE_R=4 SPLIT_H=1 DEPTH=1 AUTO=True"  # 64 items on 40 cores
    assert main(["simulate", "bgmv_shrink", "--config", config, "--trace", str(path), "--cores", cores]) == 0
    assert f"{shown} of 3 different core timelines" in capsys.readouterr().out
    whole = json.loads(path.read_text())
    assert whole["otherData"]["evidence"].startswith("SIMULATED")
    check_trace(whole["traceEvents"], shown)


def check_trace(events, cores):
    by_phase = defaultdict(list)
    for event in events:
        by_phase[event["ph"]].append(event)
    assert set(by_phase) == {"M", "X", "s", "f", "C"}
    names = {(event["name"], event["pid"], event["tid"]): event["args"] for event in by_phase["M"]}
    assert len({event["pid"] for event in by_phase["M"]}) == cores
    times = [event["ts"] for event in events if "ts" in event]
    assert times == sorted(times) and times[0] >= 0
    threads = defaultdict(list)
    for event in by_phase["X"]:
        assert event["dur"] > 0 and event["args"]["cycles"] > 0
        assert names["thread_name", event["pid"], event["tid"]]["name"] in PIPES
        assert "simulated" in names["process_name", event["pid"], 0]["name"]
        file, _, line = event["args"]["line"].rpartition(":")
        assert Path(file).is_file() and int(line) > 0
        threads[event["pid"], event["tid"]].append(event)
    for slices in threads.values():
        for one, other in zip(slices, slices[1:], strict=False):
            assert one["ts"] + one["dur"] <= other["ts"] + 1e-6
    starts = {event["id"]: event for event in by_phase["s"]}
    ends = {event["id"]: event for event in by_phase["f"]}
    assert len(starts) == len(by_phase["s"]) > 0 and starts.keys() == ends.keys()
    for identity, start in starts.items():
        assert start["ts"] <= ends[identity]["ts"] and ends[identity]["bp"] == "e"
        for end in (start, ends[identity]):
            spans = threads[end["pid"], end["tid"]]
            assert any(one["ts"] <= end["ts"] < one["ts"] + one["dur"] and one["cat"] == "work" for one in spans)
    counters = {event["name"] for event in by_phase["C"]}
    assert counters == {"MTE2 GB/s", "MTE3 GB/s", "unified buffer, live bytes"}
    assert all(value >= 0 for event in by_phase["C"] for value in event["args"].values())
    assert any(event["args"].get("bytes") for event in by_phase["X"])


@compiled
def test_the_picture_has_default_and_tuned(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = tmp_path / "timeline.png"
    assert main(["simulate", "bgmv_expand", "--shape", "T=16 R=64", "--picture", str(path)]) == 0
    assert "the timeline of default and tuned, simulated" in capsys.readouterr().out
    assert path.read_bytes().startswith(b"\x89PNG") and 10_000 < path.stat().st_size < 500_000


BAD = [
    ([FUNCTION], 'give --signature "x_ptr='),
    ([FUNCTION, "--signature", SIGNATURE], "give --grid 40"),
    ([FUNCTION, "--shape", "N=4"], "--shape is for specs"),
    ([FUNCTION, "--signature", SIGNATURE, "--grid", "8,0"], "--grid 8,0: write one to three positive integers"),
    ([FUNCTION, "--signature", "x_ptr", "--grid", "8"], "cannot read 'x_ptr'; write NAME=VALUE"),
    ([FUNCTION, "--signature", "x_ptr=fp32[8]", "--grid", "8"], "a tensor is x_ptr=*fp16[SIZES]"),
    ([FUNCTION, "--signature", "x_ptr=*fp32", "--grid", "8"], "a tensor is NAME=*TYPE[SIZES]"),
    ([FUNCTION, "--signature", "x_ptr=*f32[8]", "--grid", "8"], "unknown element type 'f32'; use one of fp16"),
    ([FUNCTION, "--signature", "x_ptr=*i32[8]:normal", "--grid", "8"], "cannot be filled with 'normal'; integers"),
    ([FUNCTION, "--signature", "x_ptr=*fp32[9999999999]", "--grid", "8"], "x_ptr has 39999999996 bytes"),
    ([FUNCTION, "--signature", "w_ptr=*fp32[8]", "--grid", "8"], "add has no parameter 'w_ptr'; it has x_ptr, y_ptr"),
    ([FUNCTION, "--signature", "N=4.5:i32", "--grid", "8"], "4.5 is no integer"),
    ([FUNCTION, "--signature", "N=4:int", "--grid", "8"], "N has the unknown type 'int'; use one of i1"),
    ([FUNCTION, "--signature", "N=4 N=5", "--grid", "8"], "N is given twice"),
    ([FUNCTION, "--signature", "TILE=64:i32", "--grid", "8"], "TILE is a tl.constexpr; write its value alone"),
    ([FUNCTION, "--signature", "TILE=64", "--grid", "8"], "parameter x_ptr of add has no argument in --signature"),
    ([FUNCTION, "--signature", SIGNATURE, "--grid", "8", "--options", "buffers=2"], "no compiler option 'buffers'"),
    ([FUNCTION, "--signature", SIGNATURE, "--grid", "8", "--options", "multi_buffer=2"], "True or False is wanted"),
    ([SPEC, "--grid", "8"], "--grid is for a function without one"),
    ([SPEC, "--shape", "M=3"], "cannot read 'M=3'"),
    ([SPEC, "--config", "TILE=100"], "TILE=100: TILE is one of 64, 128"),
    ([SPEC, "--config", "TILES=64"], "tiny_add has no tunable 'TILES'; it has TILE, AUTO"),
    ([SPEC, "--config", "TILE=8192", "--shape", "N=100"], "not legal for N=100 .*: tile_past_size = 8064 > 0"),
    ([SPEC, "--chip", "910"], "unknown chip '910'"),
    ([SPEC, "--cores", "0"], "--cores 0: must be 1 or more"),
    ([SPEC, "--picture", "/no/such/folder/out.png"], "there is no folder /no/such/folder"),
    ([f"{HERE / 'tiny_spec.py'}:not_a_spec"], "not_a_spec is no KernelSpec and no @triton.jit function; .* has .*add"),
    (["no_such_kernel"], "unknown kernel 'no_such_kernel'"),
]


@pytest.mark.parametrize(("arguments", "complaint"), BAD, ids=[complaint[:30] for _, complaint in BAD])
def test_bad_input_says_what_would_be_right(arguments, complaint, capsys):
    assert main(["simulate", *arguments]) == 2
    said = capsys.readouterr()
    assert not said.out and said.err.startswith("simulate: ") and said.err.count("\n") == 1
    assert re.search(re.escape(complaint).replace(r"\.\*", ".*"), said.err), said.err


@compiled
def test_what_does_not_compile_or_run_is_exit_code_1(capsys):
    big = SIGNATURE.replace("512", "32768")
    assert main(["simulate", FUNCTION, "--signature", big, "--grid", "1"]) == 1
    assert "KiB of unified buffer, 192.0 KiB are there" in capsys.readouterr().err
    short = SIGNATURE.replace("y_ptr=*fp32[4096]", "y_ptr=*fp32[100]")
    assert main(["simulate", FUNCTION, "--signature", short, "--grid", "8"]) == 1
    assert "of y_ptr, which has 100" in capsys.readouterr().err


@compiled
def test_the_page_documents_every_key(capsys):
    page = (HERE.parents[1] / "docs" / "simulator.md").read_text()
    found = simulated(capsys, SPEC)
    (launch,) = found["launches"]
    causes = [cause for spent in launch["pipes"].values() for cause in spent["causes"]]
    objects = [found, launch, launch["pipes"]["V"], *causes, launch["critical_path"][0], launch["lines"][0]]
    objects += [launch["unified_buffer"], launch["unified_buffer"]["buffers"][0]]
    for key in {key for one in objects for key in one}:
        assert f"`{key}`" in page, key
    for kind in CAUSES:
        assert f"`{kind}`" in page, kind


def test_the_readme_shows_the_picture_and_how_it_was_made():
    root = HERE.parents[1]
    command = re.search(r"<!-- python -m (tuner simulate .*?) -->", (root / "README.md").read_text())[1]
    picture = command.split()[-1]
    assert command.startswith("tuner simulate bgmv_expand --shape ") and "--picture" in command
    assert (root / picture).read_bytes().startswith(b"\x89PNG") and f"({picture})" in (root / "README.md").read_text()


def test_a_spec_that_is_wrong_is_an_error_in_one_line(tmp_path, capsys):
    text = (HERE / "tiny_spec.py").read_text()
    (tmp_path / "wrong.py").write_text(text.replace("c.TILE - max", "c.TILES - max"))
    for command in ("simulate", "explain"):
        assert main([command, f"{tmp_path / 'wrong.py'}:tiny_add"]) == 2
        assert "constraint tile_past_size failed on N=4096" in capsys.readouterr().err


@compiled
def test_a_function_that_is_decorated_further(tmp_path, capsys):
    text = (HERE / "tiny_spec.py").read_text().partition("tiny_add =")[0]
    wrapped = text.replace("@triton.jit", '@triton.heuristics({"TILE": lambda args: 64})\n@triton.jit')
    assert wrapped != text
    (tmp_path / "decorated.py").write_text(wrapped)
    found = simulated(capsys, f"{tmp_path / 'decorated.py'}:add", "--signature", SIGNATURE, "--grid", "8")
    check(found)


def test_the_help_names_what_there_is():
    said = subprocess.run([sys.executable, "-m", "tuner", "simulate", "--help"], capture_output=True, text=True)
    assert said.returncode == 0
    for option in ("--shape", "--config", "--signature", "--grid", "--trace", "--picture", "--json", "--cores"):
        assert option in said.stdout
