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
    path = tables.path_of(folder, chip, spec.name).with_name(f"{spec.name}.journal")
    if not path.is_file():
        return
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ImportError:
        return
    storage = JournalStorage(JournalFileBackend(str(path)))
    for name in optuna.get_all_study_names(storage):
        study = optuna.load_study(study_name=name, storage=storage)
        if study.user_attrs.get("source") != tables.source_digest(spec) or f" {chip} " not in name:
            continue
        done = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
        configs = [Record(trial.user_attrs["config"]) for trial in sorted(done, key=lambda trial: trial.value)]
        if configs:
            case = Case.parse(study.user_attrs["cases"][0], spec)
            yield case, configs[:bests], configs[bests:]
