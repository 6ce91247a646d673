"""Several tuners on one storage find what one finds and try nothing twice, whoever dies and whatever goes away."""

import fcntl
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from optuna.trial import TrialState, create_trial

from tuner.__main__ import main
from tuner.search.joining import Standing, standings
from tuner.search.shared import open_shared

from .fake_machine import fake_machine
from .postgres import server
from .test_autotune import CHIP, ROOT, SPEC, faked, table_of  # noqa: F401

TRIALS = 14


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The table of one tuner with a journal of its own."""
    output = tmp_path_factory.mktemp("alone")
    process = start("autotune", "--output", output, "--trials", TRIALS)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 0, said
    return table_of(output)


@pytest.fixture(scope="module")
def postgres():
    with server() as running:
        yield running


@pytest.fixture(params=["journal", pytest.param("sqlite", marks=pytest.mark.kills), "postgres"])
def url(request, tmp_path):
    """A storage with nothing in it."""
    if request.param == "journal":
        return str(tmp_path / "trials.journal")
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/trials.db"
    return emptied(request.getfixturevalue("postgres"))


def emptied(postgres):
    import sqlalchemy

    engine = sqlalchemy.create_engine(postgres.url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("drop schema public cascade"))
        connection.execute(sqlalchemy.text("create schema public"))
    engine.dispose()
    return postgres.url


def start(command, *arguments, seconds=0.02, jobs=1, **environment):
    """A command on the fake machine in a process of its own."""
    words = [sys.executable, "-m", "tests.tuner.fake_machine", command, SPEC, *arguments, "--jobs", jobs]
    return subprocess.Popen(
        list(map(str, words)),
        cwd=ROOT,
        env={**os.environ, "FAKE_SECONDS": str(seconds), "FAKE_GRACE": "3", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(*processes):
    for process in processes:
        said = process.communicate(timeout=180)[0]
        assert process.returncode == 0, said
        assert "Traceback" not in said


def standing(url):
    with open_shared(url) as shared:
        (found,) = standings(shared)
    return found


def wait_until(holds, url, *processes):
    until = time.monotonic() + 90
    while time.monotonic() < until:
        assert all(process.poll() is None for process in processes), [each.communicate()[0] for each in processes]
        try:
            if holds(standing(url)):
                return
        except ValueError:  # no study yet
            pass
        time.sleep(0.1)
    raise AssertionError("it did not come")


def nothing_twice(found):
    configs = [json.dumps(trial.user_attrs["config"]) for trial in found.trials]
    assert len(set(configs)) == len(configs) == TRIALS
    assert [trial.user_attrs["place"] for trial in found.trials] == list(range(TRIALS))


@pytest.mark.long
def test_four_find_what_one_finds(url, tmp_path, undisturbed):
    first = start("autotune", "--output", tmp_path, "--trials", TRIALS, "--storage", url, seconds=0.3)
    wait_until(lambda found: found.planned == TRIALS, url, first)
    others = [start("worker", "--storage", url, seconds=0.3) for _ in range(3)]
    ended(first, *others)
    assert table_of(tmp_path) == undisturbed
    found = standing(url)
    nothing_twice(found)
    assert not found.notes.get("abandoned") and not found.running
    assert len({trial.user_attrs["worker"] for trial in found.trials}) >= 2


@pytest.mark.long
def test_a_dead_workers_trial_is_taken_over(url, tmp_path, undisturbed):
    first = start("autotune", "--output", tmp_path, "--trials", TRIALS, "--storage", url, seconds=0.1)
    wait_until(lambda found: found.planned == TRIALS, url, first)
    victim = start("worker", "--storage", url, seconds=1000)
    wait_until(lambda found: len(found.workers) == 2, url, first, victim)
    victim.kill()
    victim.communicate()
    ended(first)
    assert table_of(tmp_path) == undisturbed
    found = standing(url)
    nothing_twice(found)
    assert len(found.notes["abandoned"]) == 1


@pytest.mark.kills
def test_a_database_that_goes_away_and_comes_back(postgres, tmp_path, undisturbed):
    url = emptied(postgres)
    first = start("autotune", "--output", tmp_path, "--trials", TRIALS, "--storage", url, seconds=0.3)
    wait_until(lambda found: found.planned == TRIALS, url, first)
    other = start("worker", "--storage", url, seconds=0.3)
    wait_until(lambda found: len(found.trials) >= 2, url, first, other)
    postgres.stop()
    time.sleep(2)
    postgres.start()
    ended(first, other)
    assert table_of(tmp_path) == undisturbed
    nothing_twice(standing(url))


def test_watch_shows_who_works_on_what(tmp_path, capsys):
    url = str(tmp_path / "trials.journal")
    process = start("autotune", "--output", tmp_path, "--trials", TRIALS, "--storage", url, seconds=0.3)
    try:
        wait_until(lambda found: len(found.trials) >= 2 and found.running, url, process)
        assert main(["watch", "--storage", url, "--json"]) == 0
        (shown,) = json.loads(capsys.readouterr().out)
        assert shown["kernel"] == "tiny_add" and shown["chip"] == CHIP and shown["planned"] == TRIALS
        assert 2 <= shown["trials"] < TRIALS and shown["running"] == sum(shown["workers"].values()) == 1
        assert shown["seconds_left"] > 0 and shown["best_us"] <= shown["default_us"]
        assert main(["watch", "--storage", url]) == 0
        said = capsys.readouterr().out
        assert "SIMULATED" in said and f"/{TRIALS}" in said and socket.gethostname()[:10] in said.replace("\n", "")
    finally:
        process.kill()
        process.communicate()


@pytest.mark.kills
def test_three_are_faster_than_one(tmp_path):
    """Of trials that leave the processors alone, as those of a device do; see docs/tuning.md for trials that do not."""

    def took(workers):
        url = str(tmp_path / f"{workers}.journal")
        first = start("autotune", "--output", tmp_path / f"{workers}", "--trials", 16, "--storage", url, seconds=0.5)
        wait_until(lambda found: found.planned, url, first)
        more = [start("worker", "--storage", url, seconds=0.5) for _ in range(workers - 1)]
        ended(first, *more)
        trials = [trial for trial in standing(url).trials if trial.user_attrs["place"] >= 8]  # all are there by then
        begin, end = min(t.datetime_start for t in trials), max(t.datetime_complete for t in trials)
        return (end - begin).total_seconds()

    assert took(1) / took(3) >= 1.7


@pytest.mark.kills
def test_ctrl_c_leaves_its_trials_to_others(tmp_path, undisturbed):
    url = str(tmp_path / "trials.journal")
    first = start("autotune", "--output", tmp_path, "--trials", TRIALS, "--storage", url, seconds=0.2)
    wait_until(lambda found: found.planned == TRIALS, url, first)
    other = start("worker", "--storage", url, seconds=1000)
    wait_until(lambda found: len(found.workers) == 2, url, first, other)
    other.send_signal(signal.SIGINT)
    said = other.communicate(timeout=60)[0]
    assert other.returncode == 130 and "worker: interrupted; others take over what ran here" in said, said
    ended(first)
    assert table_of(tmp_path) == undisturbed


def test_two_write_one_table_one_after_the_other(tmp_path, undisturbed):
    folder = tmp_path / CHIP
    folder.mkdir()
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)  # as the other one does while it reads, joins and writes
    url = str(tmp_path / "trials.journal")
    process = start("autotune", "--output", tmp_path, "--trials", TRIALS, "--storage", url, seconds=0)
    wait_until(lambda found: found.planned and not found.open, url, process)
    time.sleep(3)
    assert process.poll() is None and not (folder / "tiny_add.json").exists()
    os.close(held)
    ended(process)
    assert table_of(tmp_path) == undisturbed


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path, undisturbed):
    """The journal may grow to a few thousand bytes, as on a disk with no more room."""
    url = str(tmp_path / "trials.journal")
    command = ["autotune", "--output", tmp_path, "--trials", TRIALS, "--storage", url]
    process = start(*command, FAKE_ROOM="9000")
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 1 and "Traceback" not in said, said
    assert "autotune: [Errno 28] No space left on device" in said
    kept = {trial.number: trial.user_attrs for trial in standing(url).trials}
    assert 0 < len(kept) < TRIALS
    ended(start(*command))
    assert table_of(tmp_path) == undisturbed
    found = standing(url)
    nothing_twice(found)
    assert kept.items() <= {trial.number: trial.user_attrs for trial in found.trials}.items()


def test_a_clock_that_is_set_back_tells_no_time_left():
    now = datetime(2026, 1, 1)
    fields = {"value": 1.0, "params": {}, "distributions": {}}
    ends = [now - timedelta(hours=5), now + timedelta(seconds=4), now + timedelta(seconds=4)]
    trials = []
    for place, end in enumerate(ends):
        trial = create_trial(user_attrs={"place": place}, **fields)
        trial.datetime_start, trial.datetime_complete = now, end
        trials.append(trial)
    running = create_trial(state=TrialState.RUNNING)
    assert Standing("", {"planned trials": 5}, tuple(trials), (running,)).seconds_left == 8
    assert Standing("", {"planned trials": 5}, tuple(trials[:1]), (running,)).seconds_left is None


def test_half_a_line_in_a_shared_journal_is_cut_off(faked, tmp_path, undisturbed):  # noqa: F811
    url = str(tmp_path / "trials.journal")
    command = ["autotune", SPEC, "--output", str(tmp_path), "--storage", url, "--trials"]
    assert main([*command, "5"]) == 0
    shared = open_shared(url)  # it has read what is there
    with open(url, "ab") as file:
        file.write(b'{"op_code":4,"worker_id":"some')
    shared.storage.create_new_study([*shared.storage.get_study_directions(0)], "another")
    for line in Path(url).read_bytes().splitlines():
        json.loads(line)
    assert main([*command, str(TRIALS)]) == 0
    assert table_of(tmp_path) == undisturbed


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--storage", "://"], 2, "--storage: no URL of a database"),
        (["--storage", "nothing://here"], 2, "--storage nothing://here: no database is called nothing"),
        (["--storage", "sqlite://"], 2, "nobody else can see it; name a file"),
        (
            ["--storage", "postgresql://me:secret@127.0.0.1:9/x"],
            1,
            "postgresql://me:***@127.0.0.1:9/x cannot be opened",
        ),
        (["--storage", "sqlite:////nowhere/at/all.db"], 1, "cannot be opened: (sqlite3.OperationalError)"),
        (["--storage", "{folder}/journal", "--study", "none"], 2, "has no study 'none'; it has none"),
        (["--storage", "{folder}/text"], 2, "text is no journal of trials (Expecting value"),
    ],
)
def test_a_storage_that_is_none_is_one_line(tmp_path, capsys, arguments, code, said):
    if "postgresql" in arguments[1]:
        pytest.importorskip("psycopg")
    (tmp_path / "text").write_text("notes\n")
    assert main(["worker", *(each.replace("{folder}", str(tmp_path)) for each in arguments)]) == code
    printed = capsys.readouterr().err
    assert said in printed and printed.count("\n") == 1 and "secret" not in printed


def test_what_a_storage_says_runs_nothing(faked, tmp_path, monkeypatch, capsys):  # noqa: F811
    """Tables and storages are data: reading them unpickles nothing, and loads no kernel that a study names."""

    def unpickled(*_, **__):
        raise AssertionError("unpickled")

    monkeypatch.setattr(pickle, "loads", unpickled)
    monkeypatch.setattr(pickle, "load", unpickled)
    for url in (str(tmp_path / "trials.journal"), f"sqlite:///{tmp_path}/trials.db"):
        for _ in range(2):
            assert main(["autotune", SPEC, "--output", str(tmp_path), "--storage", url, "--trials", "9"]) == 0
    mark = tmp_path / "it ran"
    evil = tmp_path / "evil.py"
    evil.write_text(f"open({str(mark)!r}, 'w')\n")
    shared = open_shared(url)
    (study,) = shared.storage.get_all_studies()
    shared.storage.set_study_user_attr(study._study_id, "kernel", f"{evil}:tiny_add")
    shared.storage.set_study_user_attr(study._study_id, "planned trials", 99)
    capsys.readouterr()
    assert main(["worker", SPEC, "--storage", url]) == 2
    assert f"is of a kernel {evil}:tiny_add; name its" in capsys.readouterr().err
    assert not mark.exists()


def test_a_study_of_another_machine_is_refused(faked, tmp_path, monkeypatch, capsys):  # noqa: F811
    url = str(tmp_path / "trials.journal")
    assert main(["autotune", SPEC, "--output", str(tmp_path), "--storage", url, "--trials", "2"]) == 0
    shared = open_shared(url)
    shared.storage.set_study_user_attr(0, "planned trials", 5)

    def newer(chip):
        machine = fake_machine(chip)
        return type(machine)(machine.chip, machine.compile, machine.simulate, {"fake": "2"}, machine.model)

    monkeypatch.setattr("cold_kernels.ascend.machine.ascend_machine", newer)
    capsys.readouterr()
    assert main(["worker", SPEC, "--storage", url]) == 2
    assert "differs from this machine in versions; install the same" in capsys.readouterr().err


def test_optuna_dashboard_shows_it(faked, tmp_path):  # noqa: F811
    pytest.importorskip("optuna_dashboard")
    url = f"sqlite:///{tmp_path}/trials.db"
    assert main(["autotune", SPEC, "--output", str(tmp_path), "--storage", url, "--trials", "9"]) == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "import sys; from optuna_dashboard._cli import main; sys.exit(main())"
    dashboard = subprocess.Popen(
        [sys.executable, "-c", code, url, "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(100):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=10) as answer:
                    studies = json.load(answer)["study_summaries"]
                break
            except OSError:
                assert dashboard.poll() is None
                time.sleep(0.3)
        (shown,) = studies
        assert shown["study_name"].startswith("tiny_add dtype=fp32")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies/{shown['study_id']}", timeout=10) as answer:
            trials = json.load(answer)["trials"]
        assert len(trials) == 9
    finally:
        dashboard.kill()
        dashboard.wait()
