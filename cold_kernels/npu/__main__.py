"""``python -m cold_kernels.npu script.py …`` or ``-m module …``: a program on the simulated device."""

import argparse
import runpy
import sys
from pathlib import Path

from ..ascend.errors import AscendError
from .options import add_options, settings
from .record import record
from .report import file, text
from .simulated import switch_off, switch_on


def main(arguments: list[str] | None = None) -> int:
    """Run the program; the summary goes to standard error when it has ended, whatever its end."""
    parser = argparse.ArgumentParser(
        prog="python -m cold_kernels.npu",
        description="Runs a Python program on an NPU that is not there: its Triton kernels are compiled by the real "
        "compiler and executed in the simulator, its tensors on npu lie in this machine's memory.",
    )
    add_options(parser.add_argument)
    parser.add_argument("-m", dest="module", action="store_true", help="PROGRAM is a module, as for python -m")
    parser.add_argument("program", metavar="PROGRAM", help="a Python file")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="what the program gets")
    given = parser.parse_args(arguments)
    try:
        if not given.module and not Path(given.program).is_file():
            raise ValueError(f"{given.program} is no file")
        session = switch_on(given.npu_chip, settings(given))
    except (ValueError, RuntimeError, AscendError) as error:
        print(f"cold_kernels.npu: {error}", file=sys.stderr)
        return 2
    sys.argv = [given.program, *given.rest]
    try:
        if given.module:
            sys.path.insert(0, "")
            runpy.run_module(given.program, run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, str(Path(given.program).resolve().parent))
            runpy.run_path(given.program, run_name="__main__")
    finally:
        found = record(session)
        print(f"-- {text.title(found)} --", *text.lines(found), sep="\n", file=sys.stderr)
        if given.npu_report:
            print(file.write(Path(given.npu_report), found), file=sys.stderr)
        switch_off()
    return 0


if __name__ == "__main__":
    sys.exit(main())
