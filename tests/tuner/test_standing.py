"""What launches take under a compiler that did not make the tables: faked versions, and programs that differ."""

import dataclasses

import pytest

pytest.importorskip("triton")
import cold_kernels.ascend.machine
from cold_kernels import launch, tables
from cold_kernels.ascend.errors import CompilationFailed
from cold_kernels.devices import Device
from cold_kernels.record import Record
from cold_kernels.tables import Entry, Table
from tests.tuner.fake_machine import fake_machine
from tests.tuner.tiny_spec import tiny_add
from tuner import standing
from tuner.__main__ import main
from tuner.commands import doctor
from tuner.environment import Torch
from tuner.search.recompiled import program_of

CHIP = "Ascend910B3"
MADE = {"fake": "1"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Shipped is a table of two entries for one kernel, made with `MADE`; ``here(versions)`` is what is installed."""
    monkeypatch.setattr(tables, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setenv("COLD_KERNELS_TABLES", str(tmp_path / "user"))
    for module in (standing, doctor):
        monkeypatch.setattr(module, "toolchain_versions", lambda: {"triton-ascend": "9"}, raising=False)
    monkeypatch.setattr(standing, "KERNELS", ("tiny_add",))
    monkeypatch.setattr(standing, "load", lambda name: tiny_add)
    monkeypatch.setattr(standing, "toolchain_problem", lambda: None)
    entries = []
    for size, tile in ((8192, 1024), (40000, 2048)):
        entry = Entry(Record(N=size, dtype="fp32"), Record(TILE=tile, AUTO=True), "simulated")
        entries.append(dataclasses.replace(entry, programs=program_of(tiny_add, fake_machine(CHIP), entry)))
    table = Table("tiny_add", CHIP, tables.source_digest(tiny_add), MADE, tuple(entries))
    tables.save(tables.path_of(tmp_path / "shipped", CHIP, "tiny_add"), tiny_add, table)

    def install(versions, other_tiles=()):
        """A compiler of these versions, whose programs of these tiles are others."""
        machine = dataclasses.replace(fake_machine(CHIP), versions=versions)

        def compile(kernel, signature, constants, options):
            program = machine.compile(kernel, signature, constants, options)
            return dataclasses.replace(program, tile=-1) if program.tile in other_tiles else program

        monkeypatch.setattr(standing, "toolchain_versions", lambda: versions)
        monkeypatch.setattr(launch, "_versions", lambda: versions)
        other = dataclasses.replace(machine, compile=compile)
        monkeypatch.setattr(cold_kernels.ascend.machine, "ascend_machine", lambda name: other)
        launch.forget()
        return other

    yield install
    launch.forget()
    tables.read.cache_clear()


def evidence(size):
    """Of a launch on the chip."""
    return launch.selection(tiny_add, Record(N=size, dtype="fp32"), Device("ascend", CHIP, 40)).evidence


def test_the_versions_that_made_the_tables(here):
    here(MADE)
    line = "take 2 tuned configurations as simulated (tuned with what is installed)"
    assert standing.launch_lines() == [f"Launches on {CHIP} {line}"]
    assert evidence(8192) == "simulated"


def test_other_versions_before_and_after_the_programs_were_compared(here, capsys):
    machine = here({"fake": "2"}, other_tiles=(2048,))
    line, remedy = standing.launch_lines()
    assert line == (
        f"Launches on {CHIP} take 2 tuned configurations as legal "
        "(tuned with fake 1; fake 2 is installed, and the programs were not compared)"
    )
    assert remedy.startswith(f"python -m tuner doctor --programs {CHIP} compares")
    assert (evidence(8192), evidence(40000)) == ("legal", "legal")

    standing.compare(machine, print)
    assert capsys.readouterr().out == "tiny_add: 1 program the same, 1 different, 0 that do not compile\n"
    launch.forget()
    assert (evidence(8192), evidence(40000)) == ("simulated", "legal")
    assert standing.launch_lines() == [
        f"Launches on {CHIP} take 1 tuned configuration as simulated (tuned with fake 1; fake 2 makes the same "
        "program), 1 tuned configuration as legal (tuned with fake 1; fake 2 makes another program)"
    ]
    here({"fake": "3"})
    assert evidence(8192) == "legal" and "not compared" in standing.launch_lines()[0]


def test_a_configuration_that_no_longer_compiles_is_not_launched(here, monkeypatch):
    machine = here({"fake": "2"})

    def refusing(kernel, signature, constants, options):
        if constants["TILE"] == 2048:
            raise CompilationFailed("linalg", ["no such luck"], "add")
        return machine.compile(kernel, signature, constants, options)

    standing.compare(dataclasses.replace(machine, compile=refusing), print)
    launch.forget()
    found = launch.selection(tiny_add, Record(N=40000, dtype="fp32"), Device("ascend", CHIP, 40))
    assert (found.config.TILE, found.evidence) == (1024, "simulated") and "nearest bucket" in found.reason
    assert "fake 2 does not compile it, and launches take another" in standing.launch_lines()[0]


def test_without_the_open_compiler_doctor_says_what_comparing_takes(here, monkeypatch):
    here({"fake": "2"})
    monkeypatch.setattr(standing, "toolchain_problem", lambda: "ascendnpu-ir is not installed\n  do this")
    assert standing.launch_lines()[1] == (
        "To compare the programs takes the open compiler, which is not whole here: ascendnpu-ir is not installed"
    )


def test_doctor_compares_and_prints(here, monkeypatch, capsys):
    here({"fake": "2"})
    monkeypatch.setattr(doctor, "ask_torch", lambda: Torch(None))
    monkeypatch.setattr(doctor, "mixed_triton", lambda: None)
    main(["doctor", "--programs", CHIP])
    said = capsys.readouterr().out
    assert "tiny_add: 2 programs the same, 0 different, 0 that do not compile" in said
    assert f"Launches on {CHIP} take 2 tuned configurations as simulated" in said
    main(["doctor"])
    assert "fake 2 makes the same program" in capsys.readouterr().out


def test_a_broken_installation_is_survived(here, monkeypatch):
    here(MADE)
    monkeypatch.setattr(doctor, "mixed_triton", lambda: None)
    monkeypatch.setattr(standing, "load", lambda name: 1 / 0)
    (line,) = doctor.launches(Torch(None))
    assert line == "Launches: what they take cannot be said, as ZeroDivisionError: division by zero"
    assert doctor.launches(Torch("`import torch` fails")) == []
