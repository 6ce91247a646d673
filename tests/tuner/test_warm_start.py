"""What tables know is judged again, and a small run destroys nothing."""

import json
import signal

import pytest

from cold_kernels import tables
from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.specs import load
from cold_kernels.tables import Entry, Table, path_of, source_digest, write
from tuner.__main__ import main
from tuner.search.evaluate import Evaluator
from tuner.search.group import groups
from tuner.search.warm_start import beside_tables, warm_started

from .fake_machine import fake_machine
from .test_autotune import CHIP, SPEC, faked, start, study_of, wait_for_trials  # noqa: F401

TUNED = Record(TILE=4096, AUTO=True)


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "SHIPPED", tmp_path / "shipped")
    tables.read.cache_clear()
    yield tmp_path / "shipped"
    tables.read.cache_clear()


def tabled(directory, *sizes, config=TUNED, **details):
    spec = load(SPEC)
    entries = tuple(
        Entry(Record(N=size, dtype="fp32"), config, "simulated", {"case": f"N={size} strided", **details})
        for size in sizes
    )
    return write(directory, spec, Table(spec.name, CHIP, source_digest(spec), {"fake": "1"}, entries))


def configs(directory):
    entries = json.loads(path_of(directory, CHIP, "tiny_add").read_text())["entries"]
    return {entry["shape"]["N"]: entry["config"] for entry in entries}


@pytest.mark.parametrize("where", ["output", "shipped"])
def test_one_trial_keeps_a_tuned_group(faked, shipped, tmp_path, capsys, where):  # noqa: F811
    tabled(tmp_path / where, 20000, 40000, 80000)
    command = ["autotune", SPEC, "--shape", "N=40000", "--trials", "1", "--output", str(tmp_path / "output")]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "tiny_add dtype=fp32: N=20000, N=80000, tuned before, are judged along" in said
    assert "1 configuration of earlier tables tried after the default, besides --trials" in said
    assert "2/2 trials" in said
    assert configs(tmp_path / "output") == dict.fromkeys((20000, 40000, 80000), dict(TUNED))
    before = path_of(tmp_path / "output", CHIP, "tiny_add").read_bytes()
    assert main(command) == 0
    assert path_of(tmp_path / "output", CHIP, "tiny_add").read_bytes() == before
    assert len(study_of(tmp_path / "output").trials) == 2


def test_trials_come_on_top(faked, shipped, tmp_path):  # noqa: F811
    tabled(shipped, 40000)
    for trials, decided in ((3, 4), (2, 4), (5, 6)):
        main(["autotune", SPEC, "--shape", "N=40000", "--trials", str(trials), "--output", str(tmp_path)])
        tried = [trial.user_attrs for trial in study_of(tmp_path).trials]
        assert len(tried) == decided
    assert [one["config"] for one in tried][:2] == [{"TILE": 256, "AUTO": True}, dict(TUNED)]
    assert ["warm start" in one for one in tried] == [False, True, False, False, False, False]


def test_an_interrupt_before_they_are_tried_writes_nothing(faked, tmp_path):  # noqa: F811
    path = tabled(tmp_path, 40000)
    before = path.read_bytes()
    process = start(tmp_path, 0.3, "--trials", 10, jobs=1)
    wait_for_trials(process, tmp_path, 1)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 130, said
    assert "interrupted before all that tables know was tried" in said
    assert path.read_bytes() == before


QUICK = ["autotune", SPEC, "--quick", "--output"]


def launched(directory, monkeypatch, *sizes):
    """What launches would run, with the tables in ``directory`` as the user's."""
    monkeypatch.setenv("COLD_KERNELS_TABLES", str(directory))
    tables.read.cache_clear()
    spec = load(SPEC)
    return {size: tables.select(spec, Record(N=size, dtype="fp32"), CHIP, {"fake": "1"}) for size in sizes}


def test_a_quick_look_leaves_every_launch_as_fast_as_before(faked, shipped, tmp_path, monkeypatch, capsys):  # noqa: F811
    sizes = (300, 5000, 8192, 12000, 40000, 60000, 70000, 90000)
    tabled(shipped, 300, config=Record(TILE=256, AUTO=True), gain=2.0)
    tabled(shipped, 8192, config=Record(TILE=256, AUTO=False), gain=0.9)
    tabled(shipped, 60000, 80000)
    before = launched(tmp_path, monkeypatch, *sizes)
    assert main([*QUICK, str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "N=8192 judged against what tables have for it; 3 other shapes keep theirs" in said
    assert "wins on at least 29/32 chips over what tables have, for 1 of 1 shapes" in said
    after = launched(tmp_path, monkeypatch, *sizes)
    evaluator = Evaluator(load(SPEC), fake_machine(CHIP))
    for size in sizes:
        case = Case.parse(f"N={size}", evaluator.spec)
        times = [evaluator.timed(found[size].config, case).microseconds for found in (before, after)]
        assert times[1] <= times[0]
        assert tables.RUNGS.index(after[size].evidence) >= tables.RUNGS.index(before[size].evidence)
        if size in (8192, 5000):
            assert times[1] < times[0]
        elif size not in (12000, 40000):
            assert after[size].config == before[size].config
    assert str(tmp_path) in after[70000].reason
    (entry,) = [entry for entry in tables.read(load(SPEC), CHIP)[0][0].entries if entry.shape.N == 300]
    assert entry.details["gain"] == 2.0 and entry.evidence == "simulated"


def test_a_quick_look_keeps_what_is_not_beaten(faked, shipped, tmp_path, monkeypatch, capsys):  # noqa: F811
    best = Record(TILE=1024, AUTO=True)
    tabled(shipped, 8192, config=best)
    tabled(shipped, 60000)
    for _ in range(2):
        assert main([*QUICK, str(tmp_path)]) == 0
        assert "what tables have stays: nothing tried is more than 0.5% faster" in capsys.readouterr().out
        assert launched(tmp_path, monkeypatch, 8192)[8192].config == best
        assert configs(tmp_path) == {8192: dict(best), 60000: dict(TUNED)}


def test_a_quick_look_of_another_compiler_takes_the_evidence(faked, shipped, tmp_path, monkeypatch):  # noqa: F811
    path = tabled(shipped, 8192, 60000)
    path.write_text(path.read_text().replace('"fake": "1"', '"fake": "0"'))
    assert main([*QUICK, str(tmp_path)]) == 0
    found = launched(tmp_path, monkeypatch, 8192, 60000)
    assert (found[8192].evidence, found[60000].evidence) == ("simulated", "legal")


def test_beside_a_table_the_shaping_is_the_tables(shipped, tmp_path):
    spec = load("bgmv_shrink")
    config = Record(spec.default, TILE_R=2)
    shapes = [Record(T=rows, H=4096, R=16, dtype="fp16") for rows in (8, 64)]
    entries = tuple(Entry(shape, config, "simulated", {"gain": 1.5}) for shape in shapes)
    write(shipped, spec, Table(spec.name, CHIP, source_digest(spec), {"fake": "1"}, entries))
    for dtype, evidence in (("fp16", "simulated"), ("bf16", "legal")):
        (group,) = groups(spec, [Case.parse(f"T={rows} H=4096 R=16 dtype={dtype}", spec) for rows in (8, 16)])
        beside = beside_tables(group, group.cases[:1], CHIP, tmp_path, {"fake": "1"})
        assert [str(case).split()[0] for case in beside.cases] == ["T=8"]
        assert {(entry.shape.dtype, entry.evidence) for entry in beside.kept} == {(dtype, evidence)}
        assert beside.warm_start == (config,)
        shapings = {beside.shaping(each) for each in beside.legal if each != beside.default}
        assert shapings == {beside.shaping(config)} != {beside.shaping(beside.default)}
        assert beside.default in beside.legal and not beside.fits(beside.default)
    (elsewhere,) = groups(spec, [Case.parse("T=8 H=4096 R=64", spec)])
    assert beside_tables(elsewhere, elsewhere.cases, CHIP, tmp_path, {"fake": "1"}) is None


def group_of(*texts):
    spec = load(SPEC)
    (group,) = groups(spec, [Case.parse(text, spec) for text in texts])
    return group


def test_the_nearest_source_of_a_case_counts(shipped, tmp_path):
    tabled(tmp_path, 9000, config=Record(TILE=64, AUTO=False), case="N=9000 strided")
    tabled(shipped, 9000, 12000)
    group, joined = warm_started(group_of("N=500"), CHIP, tmp_path)
    assert [str(case) for case in group.cases] == [
        "N=500 dtype=fp32 index=int64",
        "N=9000 dtype=fp32 index=int64 strided",
        "N=12000 dtype=fp32 index=int64 strided",
    ]
    assert joined == group.cases[1:]
    # What one of the shapes forbids, here a tile of 4096 for 500 elements, is not tried.
    assert group.warm_start == (Record(TILE=64, AUTO=False),)


@pytest.mark.parametrize("case", ["N=1", "K=7", None, 3, "N=-1"])
def test_a_case_that_cannot_be_read_is_a_plain_one(shipped, tmp_path, case):
    tabled(tmp_path, 9000, case=case)
    _, (joined,) = warm_started(group_of("N=8192"), CHIP, tmp_path)
    assert str(joined) == "N=9000 dtype=fp32 index=int64"


def test_another_group_or_source_adds_nothing(shipped, tmp_path):
    path = tabled(tmp_path, 9000)
    path.write_text(path.read_text().replace(source_digest(load(SPEC)), "0123"))
    tables.read.cache_clear()
    group = group_of("N=8192")
    with pytest.warns(UserWarning, match="another source"):
        assert warm_started(group, CHIP, tmp_path)[0].cases == group.cases


def test_a_group_is_the_same_in_any_order():
    assert group_of("N=9000", "N=500").cases == group_of("N=500", "N=9000").cases


def test_what_the_group_has_on_any_chip_comes_before_other_groups(shipped, tmp_path):
    spec = load("bgmv_shrink")
    mine, theirs = Record(spec.default, TILE_R=2), Record(spec.default, TILE_R=8)
    for chip, rank, config in ((CHIP, 64, theirs), ("Ascend910B1", 16, mine)):
        entry = Entry(Record(T=8, H=4096, R=rank, dtype="fp16"), config, "simulated")
        write(shipped, spec, Table(spec.name, chip, source_digest(spec), {"fake": "1"}, (entry,)))
    for rank, known in ((16, (mine,)), (64, (theirs,)), (32, (theirs, mine))):
        (group,) = groups(spec, [Case.parse(f"T=8 H=4096 R={rank}", spec)])
        assert warm_started(group, CHIP, tmp_path)[0].warm_start == known
