"""The whole command: on a fake machine in this process, killed and interrupted in others, and for real."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from cold_kernels import tables
from cold_kernels.ascend.chips import CONSTANTS
from cold_kernels.ascend.installation import toolchain_problem
from cold_kernels.record import Record
from tuner.__main__ import main
from tuner.search.journal import journal
from tuner.search.pool import InProcess, Processes

from .fake_machine import fake_machine

ROOT = Path(__file__).parents[2]
SPEC = f"{Path(__file__).with_name('tiny_spec.py')}:tiny_add"
CHIP = "Ascend910B3"


@pytest.fixture
def faked(monkeypatch):
    """The command in this process alone, on the fake machine."""
    monkeypatch.setattr("cold_kernels.ascend.machine.ascend_machine", fake_machine)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    here = Processes

    def pool(plan, jobs, limits):
        return here(plan, jobs, limits) if jobs > 1 else InProcess(plan.workplace())

    monkeypatch.setattr("tuner.search.session.Processes", pool)
    monkeypatch.setenv("FAKE_SECONDS", "0")


def table_of(output):
    return (output / CHIP / "tiny_add.json").read_bytes()


def study_of(output):
    storage = JournalStorage(JournalFileBackend(str(output / CHIP / "tiny_add.journal")))
    (summary,) = optuna.get_all_study_summaries(storage)
    return optuna.load_study(study_name=summary.study_name, storage=storage)


def decided(study):
    """The trials that came to an end of their own, in order of the search."""
    abandoned = study.user_attrs.get("abandoned", [])
    finished = [trial for trial in study.trials if trial.state.is_finished() and trial.number not in abandoned]
    return sorted(finished, key=lambda trial: trial.user_attrs["place"])


def start(output, seconds, *more, jobs=2, kill=""):
    """The command in a process of its own, on the fake machine, which dies of the tile ``kill``."""
    command = [sys.executable, "-m", "tests.tuner.fake_machine", "autotune", SPEC, "--output", output, *more]
    command += ["--jobs", jobs]
    return subprocess.Popen(
        list(map(str, command)),
        cwd=ROOT,
        env={**os.environ, "FAKE_SECONDS": str(seconds), "FAKE_DEATH": kill},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_trials(process, output, trials):
    """Until so many trials are told in the journal and another one runs."""
    path = output / CHIP / "tiny_add.journal"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists() and path.read_bytes().count(b'"op_code":6') >= trials:
            return
        time.sleep(0.02)
    raise AssertionError(f"no {trials} trials: {process.communicate()[0]}")


def children_of(process):
    """Process ids of all that descend from it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = {process.pid}
    for _ in range(4):
        found |= {child for child, parent in parents.items() if parent in found}
    return sorted(found - {process.pid})


def wait_for_ends(pids):
    """Until none of the processes runs any more: Python's own helper ends a moment after its parent."""
    deadline = time.monotonic() + 20
    while running := [pid for pid in pids if alive(pid)]:
        assert time.monotonic() < deadline, running
        time.sleep(0.05)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_spec_in_somebody_elses_file(faked, tmp_path, capsys):
    assert main(["autotune", SPEC, "--output", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert f"SIMULATED (HIVM level), device time, {CHIP}, 32 plausible chips" in said
    assert "16/16 trials" in said
    data = json.loads(table_of(tmp_path))
    assert data["versions"] == {"fake": "1"}
    assert sorted(entry["shape"]["N"] for entry in data["entries"]) == [8192, 40000]
    for entry in data["entries"]:
        assert entry["evidence"] == "simulated"
        assert entry["details"]["wins"] == entry["details"]["chips"] == 32
        assert entry["details"]["worst_regret"] == 0
        assert entry["details"]["bound"] == "MTE2"
        details = entry["details"]
        assert details["best_us"] < details["default_us"]
        launch = CONSTANTS["launch_us"].nominal
        assert details["net_us"] == pytest.approx(details["best_us"] - launch, abs=1e-3)
        assert details["default_net_us"] == pytest.approx(details["default_us"] - launch, abs=1e-3)
        assert f"{details['net_us'] / details['floor_us']:.2f}" in said
    assert "x floor net" in said


def test_launches_find_what_was_tuned(faked, tmp_path, monkeypatch):
    from cold_kernels.specs import load

    main(["autotune", SPEC, "--output", str(tmp_path)])
    monkeypatch.setenv("COLD_KERNELS_TABLES", str(tmp_path))
    tables.read.cache_clear()
    found = tables.select(load(SPEC), Record(N=8192, dtype="fp32"), CHIP, {"fake": "1"})
    assert (found.evidence, found.reason[:11]) == ("simulated", "exact shape")
    tables.read.cache_clear()


def test_the_same_seed_gives_the_same_bytes(faked, tmp_path):
    for folder in ("one", "two"):
        assert main(["autotune", SPEC, "--output", str(tmp_path / folder), "--trials", "6", "--seed", "7"]) == 0
    assert table_of(tmp_path / "one") == table_of(tmp_path / "two")
    trials = [[trial.params for trial in study_of(tmp_path / folder).trials] for folder in ("one", "two")]
    assert trials[0] == trials[1]


def test_any_number_of_processes_finds_the_same(faked, tmp_path):
    for folder, jobs in (("one", "1"), ("two", "2")):
        command = ["autotune", SPEC, "--output", str(tmp_path / folder), "--trials", "14", "--jobs", jobs]
        assert main(command) == 0
    assert table_of(tmp_path / "one") == table_of(tmp_path / "two")
    one, two = (study_of(tmp_path / folder) for folder in ("one", "two"))
    for trial, other in zip(one.trials, two.trials, strict=True):
        assert (trial.params, trial.user_attrs, trial.values) == (other.params, other.user_attrs, other.values)
    assert one.user_attrs == two.user_attrs


def test_a_process_that_dies_costs_its_trial_alone(tmp_path):
    config = {"TILE": 4096, "AUTO": True}
    process = start(tmp_path, 0.01, "--trials", 16, kill=str(config["TILE"]))
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 0, said
    trials = decided(study_of(tmp_path))
    assert len(trials) == 16
    for trial in trials:
        dead = trial.user_attrs["config"] == config
        failure = trial.user_attrs.get("failure", "")
        assert failure.startswith("ended the process that tried it, twice: SIGKILL") == dead
    assert all(entry["config"] != config for entry in json.loads(table_of(tmp_path))["entries"])


@pytest.mark.long
@pytest.mark.parametrize(
    ("jobs", "fault", "option", "value", "said"),
    [
        (2, "FAKE_HANG", "--trial-seconds", "12", "took more than 12 s, the limit (--trial-seconds)"),
        (1, "FAKE_HUGE", "--trial-memory", "1.5", "took more than 1.5 GiB of memory, the limit (--trial-memory)"),
    ],
)
def test_a_trial_that_takes_too_much_costs_itself_alone(tmp_path, monkeypatch, jobs, fault, option, value, said):
    monkeypatch.setenv(fault, "4096")
    began = time.monotonic()
    process = start(tmp_path, 0.01, "--trials", 18, option, value, jobs=jobs)
    printed = process.communicate(timeout=240)[0]
    assert process.returncode == 0, printed
    trials = decided(study_of(tmp_path))
    failed = [trial for trial in trials if trial.user_attrs.get("failure") == said]
    assert len(trials) == 16  # all that are legal
    assert {trial.user_attrs["config"]["TILE"] for trial in failed} == {4096}
    assert len(failed) == 2  # with AUTO and without
    assert time.monotonic() - began < 150


@pytest.mark.parametrize("option", ["--trial-seconds", "--trial-memory"])
def test_a_limit_is_above_nothing(faked, tmp_path, capsys, option):
    assert main(["autotune", SPEC, "--output", str(tmp_path), option, "0"]) == 2
    assert capsys.readouterr().err == f"autotune: {option} 0: must be above 0\n"


def test_processes_end_with_the_one_that_started_them(tmp_path):
    process = start(tmp_path, 0.2, "--trials", 10)
    wait_for_trials(process, tmp_path, 2)
    children = children_of(process)
    assert len(children) >= 2
    process.kill()
    process.wait()
    wait_for_ends(children)


def test_the_same_command_again_runs_nothing(faked, tmp_path, monkeypatch):
    command = ["autotune", SPEC, "--output", str(tmp_path), "--trials", "5"]
    main(command)
    before = table_of(tmp_path)
    main(command)
    assert table_of(tmp_path) == before
    assert len(study_of(tmp_path).trials) == 5
    main([*command[:-1], "8"])
    assert len(study_of(tmp_path).trials) == 8


def test_one_shape_of_many(faked, tmp_path):
    shapes = ["--shape", "N=5000", "--shape", "N=6000,strided"]
    assert main(["autotune", SPEC, "--output", str(tmp_path), "--trials", "3", *shapes]) == 0
    assert [entry["shape"]["N"] for entry in json.loads(table_of(tmp_path))["entries"]] == [5000, 6000]


def test_a_group_without_a_working_configuration(faked, tmp_path, capsys):
    assert main(["autotune", SPEC, "--output", str(tmp_path), "--shape", "N=60"]) == 1
    said = capsys.readouterr().out
    assert "none works yet (the default does not compile: Triton IR -> Linalg" in said
    assert "the default does not compile: Triton IR -> Linalg (triton-adapter-opt) says: no such luck; no conf" in said
    assert "no configuration that was tried works; of the others 1 of 1: does not compile: " in said
    assert not (tmp_path / CHIP / "tiny_add.json").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["no_such_kernel"], "unknown kernel 'no_such_kernel'; use bgmv_shrink"),
        (["no_such_file.py:spec"], "there is no file no_such_file.py"),
        ([SPEC.replace(":tiny_add", ":not_a_spec")], "not_a_spec is no KernelSpec"),
        ([f"{ROOT / 'tests' / 'kernels.py'}:add_offset"], "add_offset is no KernelSpec"),
        ([f"{__file__}:x"], "does not import: ImportError: attempted relative import"),
        ([SPEC, "--chip", "Ascend310"], "unknown chip 'Ascend310'; use one of Ascend910B1"),
        ([SPEC, "--shape", "N=8,K=3"], "cannot read 'K=3'"),
        ([SPEC, "--shape", "N=-8"], "cannot read 'N=-8'"),
        ([SPEC, "--shape", "N=0"], "nothing to tune for N=0"),
        ([SPEC, "--shape", "N=8", "--shape", "N=8,strided"], "are both N=8 dtype=fp32 to a table"),
        (["bgmv_shrink", "--shape", "idx=some"], "cannot read 'idx=some'"),
        ([SPEC, "--shape", "N=99999999999999"], "cannot make tensors"),
        ([SPEC, "--trials", "-1"], "--trials -1: must be 1 or more"),
        ([SPEC, "--jobs", "0"], "--jobs 0: must be 1 or more"),
    ],
)
def test_bad_input_is_one_line_before_anything_runs(faked, tmp_path, capsys, arguments, complaint):
    assert main(["autotune", *arguments, "--output", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert complaint in said.err
    assert said.err.count("\n") == 1
    assert not said.out


def test_two_kernels_of_one_name(faked, tmp_path, capsys):
    other = tmp_path / "other.py"
    other.write_text(Path(SPEC.rpartition(":")[0]).read_text())
    same = SPEC.replace("tests/tuner/", "tests/tuner/../tuner/")
    assert main(["autotune", SPEC, same, f"{other}:tiny_add", "--output", str(tmp_path)]) == 2
    assert "two kernels are called tiny_add" in capsys.readouterr().err


def test_output_that_cannot_be_written(faked, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["autotune", SPEC, "--output", str(tmp_path / "file")]) == 2
    assert "Not a directory" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["not JSON\nat all\n", "garbage\n", "garbage", "7\n", "{}\n", "\n"])
def test_a_journal_that_is_none(faked, tmp_path, capsys, text):
    path = tmp_path / CHIP / "tiny_add.journal"
    path.parent.mkdir()
    path.write_text(text)
    assert main(["autotune", SPEC, "--output", str(tmp_path)]) == 2
    assert f"{path} is no journal of trials" in capsys.readouterr().err
    assert path.read_text() == text


def test_a_folder_in_the_place_of_the_table(faked, tmp_path, capsys):
    (tmp_path / CHIP / "tiny_add.json").mkdir(parents=True)
    assert main(["autotune", SPEC, "--output", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert f"{tmp_path / CHIP / 'tiny_add.json'} is a folder" in said.err and not said.out


def test_quick_is_fewer_trials_unless_told(faked, tmp_path):
    assert main(["autotune", SPEC, "--quick", "--output", str(tmp_path / "quick")]) == 0
    assert len(study_of(tmp_path / "quick").trials) == 12
    assert main(["autotune", SPEC, "--quick", "--trials", "3", "--output", str(tmp_path / "three")]) == 0
    assert len(study_of(tmp_path / "three").trials) == 3


def test_two_at_once_do_not_share_a_journal(faked, tmp_path, capsys):
    with journal(tmp_path / CHIP / "tiny_add.journal"):
        assert main(["autotune", SPEC, "--output", str(tmp_path)]) == 2
    assert "another autotune writes to" in capsys.readouterr().err


def test_a_journal_cut_in_the_middle_of_a_line(faked, tmp_path):
    command = ["autotune", SPEC, "--output", str(tmp_path), "--trials", "6"]
    main(command)
    before = table_of(tmp_path)
    path = tmp_path / CHIP / "tiny_add.journal"
    path.write_bytes(path.read_bytes()[:-20])
    assert main(command) == 0
    assert table_of(tmp_path) == before


def test_no_compiler(monkeypatch, tmp_path, capsys):
    from cold_kernels.ascend.errors import ToolchainMissing

    def missing(chip):
        raise ToolchainMissing("no compiler", "install one")

    monkeypatch.setattr("cold_kernels.ascend.machine.ascend_machine", missing)
    assert main(["autotune", SPEC, "--output", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "autotune: no compiler\n  install one\n"


def test_kill_9_loses_nothing(faked, tmp_path):
    process = start(tmp_path / "killed", 0.1, "--trials", 10)
    wait_for_trials(process, tmp_path / "killed", 4)
    process.kill()
    process.wait()
    before = {trial.number: trial for trial in decided(study_of(tmp_path / "killed"))}
    assert 4 <= len(before) < 10

    for folder in ("killed", "undisturbed"):
        assert main(["autotune", SPEC, "--output", str(tmp_path / folder), "--trials", "10"]) == 0
    study = study_of(tmp_path / "killed")
    after = decided(study)
    assert len(after) == 10
    assert len({tuple(trial.params.items()) for trial in after}) == 10
    assert len(study.trials) <= 10 + 2
    for trial in after:
        if trial.number in before:
            assert trial == before[trial.number]
    undisturbed = decided(study_of(tmp_path / "undisturbed"))
    assert [trial.params for trial in after] == [trial.params for trial in undisturbed]
    assert table_of(tmp_path / "killed") == table_of(tmp_path / "undisturbed")


def test_ctrl_c_writes_what_is_there_and_goes_on_later(faked, tmp_path):
    process = start(tmp_path, 0.1, "--trials", 10)
    wait_for_trials(process, tmp_path, 4)
    children = children_of(process)
    assert len(children) >= 2
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "The same command goes on from here" in said
    assert f"wrote {tmp_path}" in said
    assert json.loads(table_of(tmp_path))["entries"]
    finished = len(decided(study_of(tmp_path)))
    assert 4 <= finished < 10
    assert not [trial for trial in study_of(tmp_path).trials if trial.state == TrialState.RUNNING]
    wait_for_ends(children)
    assert main(["autotune", SPEC, "--output", str(tmp_path), "--trials", "10"]) == 0
    assert len(decided(study_of(tmp_path))) == 10


def test_a_spec_in_another_encoding_and_a_folder_with_any_name(faked, tmp_path):
    folder = tmp_path / "用户"
    folder.mkdir()
    text = "# -*- coding: gbk -*-\n# 向量加法\n" + Path(SPEC.partition(":")[0]).read_text()
    (folder / "加.py").write_bytes(text.encode("gbk"))
    assert main(["autotune", f"{folder / '加.py'}:tiny_add", "--trials", "2", "--output", str(folder / "表")]) == 0
    assert table_of(folder / "表")


def no_room(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def goes_on_like_one_that_had_room(output):
    command = ["autotune", SPEC, "--trials", "10", "--output"]
    assert main([*command, str(output)]) == 0
    assert main([*command, str(output / "undisturbed")]) == 0
    assert table_of(output) == table_of(output / "undisturbed")
    assert len(decided(study_of(output))) == 10


@pytest.mark.parametrize("records", [0, 1, 40])
def test_a_full_disk_in_the_journal(faked, tmp_path, monkeypatch, capsys, records):
    """The last record that begins on it is there by half."""
    written, append = [], JournalFileBackend.append_logs

    def some(backend, logs):
        written.append(logs)
        if len(written) <= records:
            return append(backend, logs)
        if len(written) == records + 1:
            with Path(backend._file_path).open("a") as file:
                file.write(json.dumps(logs[0])[:-5])
        no_room()

    with monkeypatch.context() as patch:
        patch.setattr(JournalFileBackend, "append_logs", some)
        assert main(["autotune", SPEC, "--trials", "10", "--output", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "autotune: [Errno 28] No space left on device\n"
    assert len(written) > records
    goes_on_like_one_that_had_room(tmp_path)


def test_a_full_disk_where_the_table_goes(faked, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(tables, "write_whole", no_room)
        assert main(["autotune", SPEC, "--trials", "10", "--output", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "autotune: [Errno 28] No space left on device\n"
    assert not (tmp_path / CHIP / "tiny_add.json").exists()
    goes_on_like_one_that_had_room(tmp_path)


def test_a_full_disk_in_another_process(faked, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_FULL", "2048")
    process = start(tmp_path, 0, "--trials", 10)
    said = process.communicate(timeout=120)[0]
    monkeypatch.delenv("FAKE_FULL")
    assert (
        process.returncode == 1
        and said.splitlines()[-1] == "autotune: [Errno 28] No space left on device"
        and "Traceback" not in said
    )
    goes_on_like_one_that_had_room(tmp_path)


@pytest.mark.skipif(toolchain_problem() is not None, reason="the Ascend compiler is not installed")
def test_for_real(tmp_path, monkeypatch, capsys):
    output = str(tmp_path / "tables")
    assert main(["autotune", SPEC, "--output", output, "--trials", "3", "--shape", "N=5000"]) == 0
    (entry,) = json.loads(table_of(Path(output)))["entries"]
    assert entry["evidence"] == "simulated"
    assert entry["details"]["best_us"] > entry["details"]["floor_us"]
    study = study_of(Path(output))
    assert study.trials[0].user_attrs["config"] == {"TILE": 256, "AUTO": True}
    assert all("failure" not in trial.user_attrs for trial in study.trials if trial.state == TrialState.COMPLETE)
