"""What earlier searches on this machine have found, out of ``autotune``'s journals."""

from collections.abc import Iterator
from pathlib import Path

from cold_kernels import tables
from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.spec import KernelSpec


def studied(spec: KernelSpec, chip: str, folder: Path, bests: int) -> Iterator[tuple[Case, list[Record], list[Record]]]:
    """Of each study of this kernel's source on ``chip``: its smallest case, its ``bests`` best configurations, and all
    others.

    A folder without a journal has no studies; neither has a machine without Optuna.
    """
    try:
        from ..report.studies import searches
        from ..search.journal import journal_path
    except ImportError:
        return
    path = journal_path(folder, chip, spec.name)
    if not path.is_file():
        return
    for search in searches(str(path)):
        if search.study.user_attrs.get("source") != tables.source_digest(spec) or search.chip != chip:
            continue
        configs = [trial.config for trial in sorted(search.usable, key=lambda trial: trial.value)]
        if configs:
            yield Case.parse(search.cases[0], spec), configs[:bests], configs[bests:]
