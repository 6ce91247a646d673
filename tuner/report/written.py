"""The files of a report on searches."""

import argparse
import json
from collections.abc import Iterator

from cold_kernels import tables
from cold_kernels.ascend.chips import DEFAULT_CHIP
from cold_kernels.files import write_whole
from cold_kernels.spec import KernelSpec
from cold_kernels.specs import KERNELS, load

from ..search.journal import journal_path
from .studies import Search, searches

ENDINGS = {"html": ".html", "png": ".png", "t4": ".json"}


def write_reports(arguments: argparse.Namespace) -> Iterator[str]:
    """Write what was asked for; a line about each file.

    Raises:
        ValueError: a file's ending, a storage that cannot be read, or nothing that is meant.
    """
    asked = {name: getattr(arguments, name) for name in ENDINGS if getattr(arguments, name)}
    for name, path in asked.items():
        if path.suffix != ENDINGS[name]:
            raise ValueError(f"--{name} {path}: the name must end in {ENDINGS[name]}")
    if not arguments.kernels:
        raise ValueError("name what to report on: FILE.journal, the URL of a database, or a kernel")
    found, specs = _found(arguments)
    if "html" in asked or "png" in asked:
        import matplotlib  # noqa: F401  its absence is said before anything is simulated

        from .page import page, picture
        from .sections import sections

        parts = [
            part for search in found for part in sections(search, specs.get(search.kernel), not arguments.no_timelines)
        ]
        if "html" in asked:
            write_whole(asked["html"], page("cold-kernels: how a search went", parts))
        if "png" in asked:
            write_whole(asked["png"], picture(parts))
    if "t4" in asked:
        from .t4 import t4

        write_whole(asked["t4"], json.dumps(t4(found), indent=1) + "\n")
    for path in asked.values():
        yield f"wrote {path}: {', '.join(search.title for search in found)}"


def _found(arguments: argparse.Namespace) -> tuple[list[Search], dict[str, KernelSpec]]:
    """The searches that are meant, and their kernels by name, where they are at hand."""
    specs: dict[str, KernelSpec] = {}
    found: list[Search] = []
    for name in arguments.kernels:
        if "://" in name or name.endswith(".journal"):
            found += searches(name)
            continue
        spec = load(name)
        specs[spec.name] = spec
        folder = arguments.tables or tables.user_directory()
        found += searches(str(journal_path(folder, arguments.chip or DEFAULT_CHIP, spec.name)))
    if arguments.study:
        found = [search for search in found if arguments.study in search.name]
    if not found:
        raise ValueError(
            f"no search in {', '.join(arguments.kernels)}" + f" with {arguments.study!r}" * bool(arguments.study)
        )
    if arguments.spec:
        spec = load(arguments.spec)
        specs[spec.name] = spec
    for search in found:
        if search.kernel in KERNELS and search.kernel not in specs:
            specs[search.kernel] = load(search.kernel)
    return found, specs
