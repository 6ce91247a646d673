"""Exit codes of commands, and the one line that tells what went wrong."""

import errno
import os
import subprocess
import sys
import types

import pytest

from cold_kernels import command
from cold_kernels.ascend.errors import AscendError

FULL = OSError(errno.ENOSPC, "No space left on device", "table.json")


@pytest.fixture
def main(monkeypatch):
    """Runs a command ``act`` that does what it is given; ``defaults`` are its parser's."""

    def run(act, *arguments, **defaults):
        module = types.ModuleType("acting")

        def add_parser(subparsers):
            parser = subparsers.add_parser("act")
            parser.set_defaults(run=act, **defaults)

        module.add_parser = add_parser
        monkeypatch.setitem(sys.modules, "acting", module)
        return command.main("program", "Acts.", {"act": "acting"}, [*arguments] or ["act"])

    monkeypatch.delenv(command.TRACEBACK, raising=False)
    return run


def raising(error):
    def act(arguments):
        raise error

    return act


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (1, 1), (2, 2), (130, 130)])
def test_what_a_command_returns(main, capsys, returned, code):
    assert main(lambda arguments: returned) == code
    assert capsys.readouterr() == ("", "")


WRONG = {
    "import": (
        ImportError("No module named 'absent'"),
        1,
        "No module named 'absent'; python -m pip install \"cold-kernels[ascend]\"",
    ),
    "compiler": (AscendError("no compiler"), 1, "no compiler"),
    "command": (command.CommandFailed("no figures"), 1, "no figures"),
    "value": (ValueError("--trials 0: must be 1 or more"), 2, "--trials 0: must be 1 or more"),
    "file": (
        FileNotFoundError(errno.ENOENT, "No such file or directory", "in.json"),
        2,
        "[Errno 2] No such file or directory: 'in.json'",
    ),
    "full disk": (FULL, 1, "[Errno 28] No space left on device: 'table.json'"),
    "quota": (OSError(errno.EDQUOT, "Disk quota exceeded"), 1, f"[Errno {errno.EDQUOT}] Disk quota exceeded"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_goes_wrong_is_one_line(main, capsys, name):
    error, code, said = WRONG[name]
    assert main(raising(error)) == code
    assert capsys.readouterr() == ("", f"act: {said}\n")


@pytest.mark.parametrize("name", WRONG)
def test_a_traceback_for_whoever_asks(main, monkeypatch, name):
    error, code, said = WRONG[name]
    monkeypatch.setenv(command.TRACEBACK, "1")
    with pytest.raises(type(error)) as raised:
        main(raising(error))
    assert raised.value is error
    monkeypatch.setenv(command.TRACEBACK, "0")
    assert main(raising(error)) == code


@pytest.mark.parametrize("error", [KeyError("shape"), TypeError("no"), AssertionError("never"), RuntimeError("odd")])
def test_a_fault_of_the_program_stays_a_traceback(main, capsys, error):
    with pytest.raises(type(error)):
        main(raising(error))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("defaults", "said"),
    [({}, "interrupted"), ({"goes_on": "the same command goes on"}, "interrupted; the same command goes on")],
)
@pytest.mark.parametrize("traced", ["0", "1"])
def test_ctrl_c(main, capsys, monkeypatch, defaults, said, traced):
    monkeypatch.setenv(command.TRACEBACK, traced)
    assert main(raising(KeyboardInterrupt()), **defaults) == 130
    assert capsys.readouterr() == ("", f"act: {said}\n")


def test_what_it_needs_comes_before_it_runs(main, capsys):
    ran = []
    assert main(ran.append, needs=("json", "absent_module"), extra="bench") == 1
    assert not ran
    said = capsys.readouterr()
    assert said.err == "act: No module named 'absent_module'; python -m pip install \"cold-kernels[bench]\"\n"
    assert main(ran.append, needs=("json",)) == 0 and len(ran) == 1


def test_no_command_is_help(capsys):
    assert command.main("program", "Acts.", {}, []) == 0
    said = capsys.readouterr()
    assert said.out.startswith("usage: program") and not said.err


def test_a_command_that_is_none(main, capsys):
    with pytest.raises(SystemExit) as end:
        main(raising(KeyError()), "sing")
    assert end.value.code == command.WRONG_INPUT and "invalid choice: 'sing'" in capsys.readouterr().err


READER_GONE = """
import sys, types
from cold_kernels import command

def act(arguments):
    print("a line", flush=True)
    sys.stdin.read()
    print("a line that nobody reads")

module = sys.modules["acting"] = types.ModuleType("acting")
module.add_parser = lambda subparsers: subparsers.add_parser("act").set_defaults(run=act)
sys.exit(command.main("program", "Acts.", {"act": "acting"}, ["act"]))
"""


def python(text):
    return subprocess.Popen(
        [sys.executable, "-c", text],
        env={**os.environ, "COLD_KERNELS_LAZY": "1", "PYTHONUNBUFFERED": ""},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_reader_that_has_gone_away():
    process = python(READER_GONE)
    assert process.stdout.readline() == "a line\n"
    process.stdout.close()
    process.stdin.close()
    assert (process.wait(timeout=60), process.stderr.read()) == (1, "")
    process.stderr.close()


def test_the_import_needs_nothing_that_may_be_missing():
    text = "import sys, cold_kernels.command; print([m for m in ('torch', 'triton', 'rich') if m in sys.modules])"
    assert python(text).communicate(timeout=60) == ("[]\n", "")


def test_a_package_whose_library_does_not_load_is_no_wrong_input(main, capsys, tmp_path, monkeypatch):
    (tmp_path / "needs_a_library.py").write_text("raise OSError('libhccl.so: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(lambda arguments: None, needs=("needs_a_library",)) == command.FAILED
    assert "import needs_a_library: libhccl.so: cannot open" in capsys.readouterr().err


def test_an_import_of_our_own_that_fails_stays_a_traceback(main):
    with pytest.raises(ImportError):
        main(raising(ImportError("no name x", name="cold_kernels.spec")))


def test_a_command_that_does_not_import(capsys):
    assert command.main("program", "Acts.", {"act": "no_such_module"}, ["act"]) == command.FAILED
    assert capsys.readouterr().err.startswith("program: No module named 'no_such_module'; ")
