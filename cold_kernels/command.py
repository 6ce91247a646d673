"""What command lines share: commands by name, exit codes, and one line for whatever goes wrong.

A command is a module with ``add_parser(subparsers)``, whose parser's defaults are ``run(arguments)`` and perhaps

- ``needs``: names of modules without which there is no use in beginning;
- ``extra``: the extra of this distribution that brings them, if it is another than the program's;
- ``goes_on``: what the same command does after Ctrl-C, as a sentence's second half.

``run`` returns an exit code, or None for `DONE`, and raises what is wrong.
"""

import argparse
import errno
import os
import sys
from collections.abc import Mapping
from importlib import import_module

from .ascend.errors import AscendError
from .code_digest import PACKAGES
from .gpu.errors import GpuError

DONE, FAILED, WRONG_INPUT, FOUND, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes. `FAILED`: something is missing, does not compile, or a goal is not met. `FOUND`: all was done, and
there is what the command was told to fail on."""
TRACEBACK = "COLD_KERNELS_TRACEBACK"
"""Set to 1, this environment variable shows where an error comes from."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class CommandFailed(Exception):
    """A command cannot do what it is asked for, and not because of what was typed: `FAILED`."""


def install(extra: str) -> str:
    """What brings an extra of this distribution."""
    return f'python -m pip install "cold-kernels[{extra}]"'


def main(
    program: str,
    description: str,
    commands: Mapping[str, str],
    arguments: list[str] | None = None,
    extra: str = "ascend",
) -> int:
    """Run one command; its exit code comes back, `FAILED` where whoever read the output has gone away.

    Args:
        program: As it is called.
        commands: The module of each command, by its name.
        arguments: What was typed; by default the process's own.
        extra: What brings what the commands need, but for those that name one.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # what it cannot encode is escaped, as on stderr
    parser = argparse.ArgumentParser(prog=program, description=description)
    chosen = argparse.Namespace(command=program, extra=extra, needs=(), goes_on="")
    try:
        return _run(parser, commands, arguments, chosen)
    except BrokenPipeError:
        # Python flushes once more at its end, and would complain there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _run(
    parser: argparse.ArgumentParser,
    commands: Mapping[str, str],
    arguments: list[str] | None,
    chosen: argparse.Namespace,
) -> int:
    try:
        _parse(parser, commands, arguments, chosen)
        for module in chosen.needs:
            _need(module)
        code = chosen.run(chosen)
        sys.stdout.flush()
        return DONE if code is None else code
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        said, code = f"interrupted{'; ' * bool(chosen.goes_on)}{chosen.goes_on}", INTERRUPTED
    except ImportError as error:
        if (error.name or "").partition(".")[0] in PACKAGES:  # no extra brings what is wrong here
            raise
        said, code = f"{error}; {install(chosen.extra)}", _unless_traced(FAILED)
    except (AscendError, GpuError, CommandFailed) as error:
        said, code = f"{error}", _unless_traced(FAILED)
    except ValueError as error:
        said, code = f"{error}", _unless_traced(WRONG_INPUT)
    except OSError as error:
        said, code = f"{error}", _unless_traced(FAILED if error.errno in NO_ROOM else WRONG_INPUT)
    print(f"{chosen.command}: {said}", file=sys.stderr)
    return code


def _parse(
    parser: argparse.ArgumentParser,
    commands: Mapping[str, str],
    arguments: list[str] | None,
    chosen: argparse.Namespace,
) -> None:
    """Put what was typed into ``chosen``; no command is a request for help."""
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for module in commands.values():
        import_module(module).add_parser(subparsers)

    def help(_: argparse.Namespace) -> None:
        parser.print_help()

    parser.set_defaults(run=help)
    try:
        parser.parse_args(arguments, chosen)
    except SystemExit:
        sys.stdout.flush()  # help, perhaps for somebody who has gone away
        raise


def _need(module: str) -> None:
    try:
        import_module(module)
    except OSError as error:  # a shared library that a package loads by itself
        raise ImportError(f"import {module}: {error}") from error


def _unless_traced(code: int) -> int:
    """The exit code; raises the error that is handled where its traceback is asked for."""
    if os.environ.get(TRACEBACK) == "1":
        raise
    return code
