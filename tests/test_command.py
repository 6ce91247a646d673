"""What every command line does with a command's errors, with commands made for it."""

import errno
import sys
import types

import pytest

from cold_kernels import command
from cold_kernels.ascend.errors import AscendError, ToolchainMissing
from cold_kernels.command import DONE, FAILED, INTERRUPTED, WRONG_INPUT, CommandFailed

NO_MODULE = ModuleNotFoundError("No module named 'peft'", name="peft")


@pytest.fixture
def ended(monkeypatch):
    """Runs a command that raises or returns ``outcome``; ``about`` are its defaults besides."""

    def run(outcome, *arguments, **about):
        def act(_):
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        made = types.ModuleType("made_command")
        made.add_parser = lambda subparsers: subparsers.add_parser("act").set_defaults(run=act, **about)
        monkeypatch.setitem(sys.modules, "made_command", made)
        return command.main("python -m made", "Made up.", {"act": "made_command"}, list(arguments or ["act"]), "decode")

    return run


@pytest.mark.parametrize("outcome, code", [(None, DONE), (DONE, DONE), (FAILED, FAILED)])
def test_what_it_returns(ended, capsys, outcome, code):
    assert ended(outcome) == code
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "outcome, code, said",
    [
        (ValueError("--n 0: too few"), WRONG_INPUT, "--n 0: too few"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a"), WRONG_INPUT, "[Errno 2] No such file: 'a'"),
        (OSError(errno.ENOSPC, "No space left", "a"), FAILED, f"[Errno {errno.ENOSPC}] No space left: 'a'"),
        (CommandFailed("nothing to show"), FAILED, "nothing to show"),
        (AscendError("refused"), FAILED, "refused"),
        (ToolchainMissing("no compiler", "install one"), FAILED, "no compiler\n  install one"),
        (NO_MODULE, FAILED, "No module named 'peft'; python -m pip install \"cold-kernels[decode]\""),
        (KeyboardInterrupt(), INTERRUPTED, "interrupted"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_is_wrong_is_said_in_one_place(ended, capsys, outcome, code, said):
    assert ended(outcome) == code
    assert capsys.readouterr() == ("", f"act: {said}\n")


def test_what_a_command_says_of_itself(ended, capsys):
    assert ended(KeyboardInterrupt(), goes_on="the same command goes on") == INTERRUPTED
    assert capsys.readouterr().err == "act: interrupted; the same command goes on\n"
    assert ended(NO_MODULE, extra="ascend") == FAILED
    assert 'pip install "cold-kernels[ascend]"' in capsys.readouterr().err
    assert ended(None, needs=("no_such_module",)) == FAILED
    assert capsys.readouterr().err.startswith("act: No module named 'no_such_module'; ")


def test_a_package_whose_library_does_not_load_is_no_wrong_input(ended, capsys, tmp_path, monkeypatch):
    (tmp_path / "needs_a_library.py").write_text("raise OSError('libhccl.so: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    assert ended(None, needs=("needs_a_library",)) == FAILED
    assert "import needs_a_library: libhccl.so: cannot open" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [KeyError("x"), AttributeError("x"), TypeError("x"), ImportError("no name x", name="cold_kernels.spec")],
    ids=lambda error: type(error).__name__,
)
def test_a_mistake_in_the_program_is_a_traceback(ended, error):
    with pytest.raises(type(error)):
        ended(error)


def test_the_place_of_any_error_is_shown_if_asked_for(ended, monkeypatch):
    monkeypatch.setenv(command.TRACEBACK, "1")
    with pytest.raises(ValueError, match="--n 0"):
        ended(ValueError("--n 0"))


def test_no_command_is_a_request_for_help(ended, capsys):
    assert command.main("python -m made", "Made up.", {}, []) == DONE
    assert "usage: python -m made" in capsys.readouterr().out


def test_a_command_that_does_not_import(capsys):
    assert command.main("python -m made", "Made up.", {"act": "no_such_module"}, ["act"]) == FAILED
    assert capsys.readouterr().err.startswith("python -m made: No module named 'no_such_module'; ")
