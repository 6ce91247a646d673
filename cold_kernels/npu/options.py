"""What ``python -m pytest -p cold_kernels.npu`` and ``python -m cold_kernels.npu`` take, declared once for both."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..ascend.chips import DEFAULT_CHIP
from .report.file import check
from .session import Settings

HAZARDS = ("error", "warn", "off")


def add_options(add: Callable[..., Any]) -> None:
    """Declare the options by ``add``, an ``add_argument`` or pytest's ``addoption``."""
    add("--npu-chip", default=DEFAULT_CHIP, metavar="CHIP", help="chip to simulate (default: %(default)s)")
    add(
        "--npu-hazards",
        default="error",
        choices=HAZARDS,
        help="what a launch does that a device may do otherwise than simulated: races, bytes read that nothing has "
        "written, flags that do not pair (default: error)",
    )
    add(
        "--npu-limit",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="time for simulating one launch; 0 for no limit (default: 60)",
    )
    add("--npu-report", metavar="FILE.html|FILE.json", help="write kernels, times, findings and hazards to a file")
    add(
        "--npu-compile-twice",
        action="store_true",
        help="compile each kernel a second time, past the cache; fail if the programs differ",
    )


def settings(options: Any) -> Settings:
    """The settings that the options say.

    Raises:
        ValueError: a time below 0, or a report of another kind.
    """
    if options.npu_report:
        check(Path(options.npu_report))
    if options.npu_limit < 0:
        raise ValueError(f"--npu-limit {options.npu_limit:g}: seconds, or 0 for no limit, are wanted")
    return Settings(options.npu_hazards, options.npu_limit or None, options.npu_compile_twice)
