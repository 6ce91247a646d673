import dataclasses
import json
import os
import warnings

import pytest
import torch

pytest.importorskip("triton")
from cold_kernels import compared as compared_files
from cold_kernels import tables
from cold_kernels.record import Record
from cold_kernels.tables import Entry, Table, path_of, select, source_digest, write
from tests.specs import copies, declared

CHIP = "Ascend910B3"
VERSIONS = {"triton-ascend": "3.2.0"}


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.setenv("COLD_KERNELS_TABLES", str(tmp_path / "user"))
    monkeypatch.setattr(tables, "SHIPPED", tmp_path / "shipped")
    tables.read.cache_clear()
    yield tmp_path / "user"
    tables.read.cache_clear()


def shape(n, m, dtype="fp32"):
    return Record(N=n, M=m, dtype=dtype)


def entry(n, m, dtype="fp32", evidence="simulated", **config):
    return Entry(shape(n, m, dtype), Record(copies.default, **config), evidence)


def table(*entries, **changes):
    return Table(**dict(kernel="copy_rows", chip=CHIP, source=source_digest(copies), versions=VERSIONS,
                        entries=entries) | changes)  # fmt: skip


def chosen(n, m, dtype="fp32", versions=VERSIONS):
    return select(copies, shape(n, m, dtype), CHIP, versions)


def test_no_table():
    found = chosen(4, 8)
    assert found.config == copies.default and found.evidence == "legal"
    assert found.reason == f"default: no table of this kernel for {CHIP}"


def test_exact_shape(directory):
    path = write(directory, copies, table(entry(4, 8, TILE=16), entry(64, 8, TILE=8)))
    found = chosen(4, 8)
    assert (found.config.TILE, found.evidence, found.reason) == (16, "simulated", f"exact shape in {path}")


def test_nearest_bucket(directory):
    path = write(directory, copies, table(entry(4, 8, TILE=16), entry(64, 8, TILE=8, DEPTH=2)))
    found = chosen(50, 8)
    assert found.config.DEPTH == 2
    assert found.reason == f"nearest bucket, N=64 M=8 dtype=fp32, in {path}"
    assert chosen(1, 8).config.TILE == 16


def test_the_nearest_bucket_is_so_by_ratio(directory):
    write(directory, copies, table(entry(4, 8, TILE=16), entry(64, 8, TILE=8, DEPTH=2)))
    assert chosen(24, 8).config.TILE == 8  # 64 is 2.6 times as many, 4 a fifth, though nearer by difference


def test_another_group_however_near_is_the_default(directory):
    path = write(directory, copies, table(entry(4, 8, PARTS=2)))
    for other in (shape(4, 7), shape(4, 8, "fp16")):
        found = select(copies, other, CHIP, VERSIONS)
        assert found.config == copies.default and found.evidence == "legal"
        assert found.reason == f"default: {path} has nothing for {other}"


def test_bf16_takes_what_was_tuned_for_fp16_as_legal(directory):
    write(directory, copies, table(entry(4, 8, "fp16", TILE=16)))
    found = chosen(4, 8, "bf16")
    assert (found.config.TILE, found.evidence) == (16, "legal") and "nearest bucket" in found.reason
    assert chosen(4, 8, "fp32").config == copies.default
    write(directory, copies, table(entry(4, 8, "bf16", TILE=8)))
    assert (chosen(4, 8, "bf16").config.TILE, chosen(4, 8, "bf16").evidence) == (8, "simulated")


def test_the_default_moves_only_as_far_as_it_must():
    assert copies.default_for(shape(4, 12)) == Record(copies.default, TILE=16)
    assert copies.default_for(shape(4, 8)) == copies.default
    assert copies.default_for(shape(4, 8), shape(4, 12)) == Record(copies.default, TILE=16)


def test_what_shapes_a_sum_never_varies_with_the_batch(directory):
    write(directory, copies, table(entry(4, 8, PARTS=2), entry(4, 16, TILE=16), entry(99, 8, PARTS=2, DEPTH=2)))
    assert chosen(70, 8).config.PARTS == 2
    for m in (5, 7, 8, 9, 11, 12, 16):
        assert len({chosen(n, m).config.PARTS for n in (0, 1, 3, 8, 70, 5000)}) == 1


def test_a_table_whose_sums_vary_with_the_batch_is_broken(directory):
    write(directory, copies, table(entry(4, 8, PARTS=2), entry(9, 8, PARTS=1)))
    with pytest.warns(UserWarning, match="PARTS differ among shapes like N=9 M=8"):
        assert chosen(4, 8).config == copies.default


def test_another_compiler_lowers_the_evidence_alone(directory):
    write(directory, copies, table(entry(4, 8, DEPTH=2)))
    found = chosen(4, 8, versions={"triton-ascend": "3.3.0"})
    assert found.config.DEPTH == 2 and found.evidence == "legal" and found.reason.startswith("exact shape")
    assert chosen(4, 8, versions=None).evidence == "simulated"


NEWER = {"triton-ascend": "3.2.2"}


def compared(directory, **now):
    """A table of an entry for each program, named N1, N2, … by its size; ``now`` says what they are under `NEWER`."""
    entries = [dataclasses.replace(entry(int(name[1:]), 8, DEPTH=2), programs=name) for name in now]
    write(directory, copies, table(*entries))
    return tables.compare_programs(copies, CHIP, NEWER, lambda one: now[one.programs])


def test_under_another_compiler_the_program_decides(directory):
    compared(directory, N1="N1", N64="another", N4096="")
    found = {n: chosen(n, 8, versions=NEWER) for n in (1, 64, 4096)}
    assert {one.config.DEPTH for one in found.values()} == {2}
    assert [one.evidence for one in found.values()] == ["simulated", "legal", "legal"]  # the last takes the nearest
    said = "tuned with triton-ascend 3.2.0; triton-ascend 3.2.2 makes"
    assert found[1].reason.endswith(f"{said} the same program")
    assert found[64].reason.endswith(f"{said} another program")
    assert found[4096].reason.startswith("nearest bucket, N=64 M=8")
    assert chosen(1, 8).reason.endswith("copy_rows.json")  # nothing to say of the versions that made it


def test_where_nothing_tuned_compiles_the_default_is_taken(directory):
    compared(directory, N1="", N64="")
    found = chosen(1, 8, versions=NEWER)
    assert (found.config, found.evidence) == (copies.default, "legal")
    assert found.reason.startswith("default: triton-ascend 3.2.2 compiles nothing that ") and "N=1 M=8" in found.reason
    assert chosen(1, 8).config.DEPTH == 2


def test_what_was_not_compared_is_legal_and_says_so(directory):
    compared(directory, N1="N1")
    for versions in ({"triton-ascend": "3.2.1"}, {**NEWER, "ascendnpu-ir": "1.2.0"}, {}):
        found = chosen(1, 8, versions=versions)
        assert found.evidence == "legal" and "is installed, and the programs were not compared" in found.reason
    write(directory, copies, table(dataclasses.replace(entry(2, 8), programs="N2"), entry(3, 8)))
    assert [chosen(n, 8, versions=NEWER).evidence for n in (1, 2, 3)] == ["simulated", "legal", "legal"]


def test_a_comparison_of_another_text_of_the_kernel_does_not_count(directory):
    found = compared(directory, N1="N1")
    compared_files.keep(
        compared_files.place(directory, CHIP, "copy_rows"), dataclasses.replace(found, source="another text")
    )
    assert chosen(1, 8, versions=NEWER).evidence == "legal"


def test_two_entries_of_one_program_that_differ_now_are_different(directory):
    write(directory, copies, table(*(dataclasses.replace(entry(n, 8), programs="one") for n in (4, 9))))
    found = tables.compare_programs(copies, CHIP, NEWER, lambda one: "one" if one.shape.N == 4 else "other")
    assert (found.same, found.different, found.broken) == (frozenset(), {"one"}, frozenset())


def test_there_is_nothing_to_compare_in_tables_of_this_compiler(directory):
    write(directory, copies, table(dataclasses.replace(entry(4, 8), programs="one")))
    asked = lambda one: pytest.fail("compiled")  # noqa: E731
    assert tables.compare_programs(copies, CHIP, VERSIONS, asked) is None
    assert not compared_files.place(directory, CHIP, "copy_rows").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 2}', '{"format": 1, "versions": {}, "source": ""}'])
def test_a_broken_comparison_is_skipped_with_a_warning(directory, text):
    compared(directory, N1="N1")
    path = compared_files.place(directory, CHIP, "copy_rows")
    path.write_text(text)
    compared_files.kept.cache_clear()
    with pytest.warns(UserWarning, match=f"skipping {path}"):
        assert chosen(1, 8, versions=NEWER).evidence == "legal"


def edited(directory, change):
    path = write(directory, copies, table(entry(4, 8, DEPTH=2)))
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    tables.read.cache_clear()
    return path


def in_entry(field, **changes):
    return lambda data: data["entries"][0][field].update(changes)


@pytest.mark.parametrize(
    "change, complaint",
    [
        (lambda data: data.update(format=2), "format 2, not 1"),
        (lambda data: data.update(kernel="softmax"), f"it is for softmax on {CHIP}"),
        (lambda data: data.update(chip="Ascend910B1"), "it is for copy_rows on Ascend910B1"),
        (lambda data: data.update(source="0123"), "tuned for another source of this kernel; tune again"),
        (lambda data: data.pop("versions"), "versions"),
        (lambda data: data.update(entries=None), "NoneType"),
        (in_entry("shape", K=3), "names other dimensions"),
        (in_entry("shape", N="4"), "N='4' is no size"),
        (in_entry("shape", M=-1), "M=-1 is no size"),
        (in_entry("config", TILE=7), r"TILE=7 is none of \(4, 8, 16\)"),
        (lambda data: data["entries"][0]["config"].pop("DEPTH"), "DEPTH=None"),
        (lambda data: data["entries"][0].update(evidence="hoped"), "unknown evidence 'hoped'"),
        (in_entry("config", TILE=4), "TILE=4 .*breaks tile_below_row for N=4 M=8"),
    ],
    ids=["format", "kernel", "chip", "source", "versions", "entries", "dimension", "text", "negative", "value",
         "missing", "evidence", "illegal"],
)  # fmt: skip
def test_a_broken_or_foreign_table_is_skipped_with_one_warning(directory, change, complaint):
    path = edited(directory, change)
    with pytest.warns(UserWarning, match=complaint) as caught:
        for n in (4, 5, 6):
            assert chosen(n, 8).config == copies.default
    assert [str(path) in str(warning.message) for warning in caught] == [True]


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '"x"', "\xff"])
def test_a_file_that_is_no_table(directory, text):
    path = write(directory, copies, table(entry(4, 8, DEPTH=2)))
    path.write_text(text, encoding="latin-1")
    tables.read.cache_clear()
    with pytest.warns(UserWarning, match="skipping") as caught:
        assert chosen(4, 8).config == copies.default
    assert len(caught) == 1


def test_a_table_belongs_to_a_source(directory):
    write(directory, copies, table(entry(4, 8, DEPTH=2)))
    other = declared(stages=copies.stages[:1])
    with pytest.warns(UserWarning, match="another source"):
        assert select(other, shape(4, 8), CHIP).evidence == "legal"


def test_the_users_table_comes_before_the_shipped_one(directory):
    write(tables.SHIPPED, copies, table(entry(4, 8, TILE=16)))
    assert chosen(4, 8).config.TILE == 16
    write(directory, copies, table(entry(4, 8, TILE=8, DEPTH=2)))
    assert chosen(4, 8).config == Record(copies.default, DEPTH=2)


def test_a_broken_table_of_the_user_leaves_the_shipped_one(directory):
    write(tables.SHIPPED, copies, table(entry(4, 8, TILE=16)))
    edited(directory, lambda data: data.update(format=9))
    with pytest.warns(UserWarning, match="format 9"):
        assert chosen(4, 8).config.TILE == 16


def test_a_group_that_the_user_has_not_tuned_comes_from_the_shipped_table(directory):
    write(tables.SHIPPED, copies, table(entry(4, 8, TILE=16)))
    write(directory, copies, table(entry(4, 12, TILE=16, PARTS=2)))
    assert chosen(4, 8).config == Record(copies.default, TILE=16)
    assert chosen(4, 12).config.PARTS == 2


def test_no_legal_configuration():
    with pytest.raises(ValueError, match="copy_rows: no configuration is legal for N=4 M=99 dtype=fp32"):
        chosen(4, 99)


def test_where_the_users_tables_are(monkeypatch, tmp_path):
    monkeypatch.setenv("COLD_KERNELS_TABLES", str(tmp_path))
    assert path_of(tables.user_directory(), CHIP, "k") == tmp_path / CHIP / "k.json"
    monkeypatch.delenv("COLD_KERNELS_TABLES")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert tables.user_directory() == tmp_path / "cold-kernels" / "tables"


def test_older_entries_stay_unless_they_sum_in_another_order(directory):
    write(directory, copies, table(entry(4, 8, DEPTH=2), entry(9, 8), entry(4, 16, TILE=16)))
    path = write(directory, copies, table(entry(4, 8, TILE=16)))
    listed = [(e["shape"]["N"], e["shape"]["M"]) for e in json.loads(path.read_text())["entries"]]
    assert sorted(listed) == [(4, 8), (4, 16), (9, 8)] and chosen(4, 8).config.TILE == 16
    write(directory, copies, table(entry(4, 8, PARTS=2)))
    listed = [(e["shape"]["N"], e["shape"]["M"]) for e in json.loads(path.read_text())["entries"]]
    assert sorted(listed) == [(4, 8), (4, 16)]


def test_older_entries_of_another_compiler_lose_their_evidence(directory):
    write(directory, copies, table(entry(4, 8, DEPTH=2)))
    write(directory, copies, table(entry(9, 8), versions={"triton-ascend": "3.3.0"}))
    found = chosen(4, 8, versions={"triton-ascend": "3.3.0"})
    assert found.config.DEPTH == 2 and found.evidence == "legal"


def test_older_entries_keep_their_evidence_where_their_programs_are_the_same(directory):
    compared(directory, N4="N4", N9="another")
    write(directory, copies, table(entry(64, 8), versions=NEWER))
    assert [chosen(n, 8, versions=NEWER).evidence for n in (4, 9)] == ["simulated", "legal"]


@pytest.mark.parametrize("step", ["dumps", "replace"])
def test_a_crash_leaves_the_old_table_and_no_litter(directory, monkeypatch, step):
    path = write(directory, copies, table(entry(4, 8, DEPTH=2)))
    before = path.read_bytes()

    def crash(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(json if step == "dumps" else os, step, crash)
    with pytest.raises(KeyboardInterrupt):
        write(directory, copies, table(entry(4, 8, TILE=16)))
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


def test_a_table_reads_back(directory):
    write(directory, copies, table(entry(4, 8), entry(9, 8, evidence="measured")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ((read, _),) = tables.read(copies, CHIP)
    assert read == table(entry(4, 8), entry(9, 8, evidence="measured"))


def test_a_launch_takes_the_table(directory):
    from cold_kernels.devices import Device
    from cold_kernels.launch import selection

    selection.cache_clear()
    write(directory, copies, table(entry(4, 8, DEPTH=2), chip="H100"))
    args = dict(x=torch.zeros(4, 8), y=torch.zeros(4, 8), at=torch.zeros(4, dtype=torch.int64))
    key = copies.key(copies.shape_of(args))
    assert selection(copies, key, Device("cuda", "H100", 132)).config.DEPTH == 2
    assert selection(copies, key, Device("cuda", "A100", 108)).config.DEPTH == 1
    selection.cache_clear()
