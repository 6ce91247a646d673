import optuna
import pytest
from optuna.trial import TrialState

from cold_kernels.bgmv.shrink import bgmv_shrink
from cold_kernels.cases import Case
from tuner.search.group import groups
from tuner.search.sampler import STARTUP_TRIALS, LegalSampler
from tuner.search.trial import Outcome, abandon, decided, record

from .tiny_spec import tiny_add

optuna.logging.set_verbosity(optuna.logging.WARNING)


def group_of(spec, *texts):
    (group,) = groups(spec, [Case.parse(text, spec) for text in texts])
    return group


def made_up_time(config):
    return 10 + abs(config.TILE_H - 1024) / 256 + abs(config.TILE_R - 4) + config.SPLIT_H - config.DEPTH / 8


def run(group, seed, trials, *, abandoned=(), overflowing=lambda config: False):
    """The configurations that were tried, in order, abandoning some trials by number."""
    study = optuna.create_study(sampler=LegalSampler(group, seed))
    configs = []
    while len(configs) < min(trials, len(group.legal)):
        trial = study.ask(study.sampler.distributions)
        config = study.sampler.config(trial)
        if trial.number in abandoned:
            abandon(study, trial)
            continue
        configs.append(config)
        if overflowing(config):
            record(study, trial, config, Outcome("legal", failure="too large", excess_bits=4096))
        else:
            record(study, trial, config, Outcome("simulated", {"case": made_up_time(config)}))
    return configs, study


@pytest.fixture(scope="module")
def shrink():
    return group_of(bgmv_shrink, "T=8 H=1000 R=2", "T=32 H=1000 R=2")


def test_default_first_then_never_the_same_and_always_legal(shrink):
    configs, _ = run(shrink, 0, 60)
    assert configs[0] == shrink.default
    assert len(set(configs)) == len(configs) == 60
    for config in configs:
        assert bgmv_shrink.allows(config, *(case.shape() for case in shrink.cases))


def test_illegal_default_gives_the_nearest_legal_one():
    group = group_of(bgmv_shrink, "T=8 H=300 R=1")
    assert bgmv_shrink.default not in group.legal
    assert (group.default.TILE_H, group.default.TILE_R) == (512, 1)
    assert run(group, 0, 1)[0] == [group.default]


def test_exhausts_the_space_exactly_once():
    group = group_of(tiny_add, "N=100")
    study = optuna.create_study(sampler=LegalSampler(group, 3))
    tried = set()
    for _ in group.legal:
        trial = study.ask(study.sampler.distributions)
        tried.add(study.sampler.config(trial))
        study.tell(trial, 1.0)
    assert tried == set(group.legal)
    with pytest.raises(RuntimeError, match="all 4 legal configurations were tried"):
        study.ask(study.sampler.distributions)


def test_parameters_are_what_ran(shrink):
    configs, study = run(shrink, 1, 20)
    for config, trial in zip(configs, study.trials, strict=True):
        assert dict(config) == trial.user_attrs["config"]
        assert tuple(trial.params.values()) == shrink.point(config)


def test_the_seed_decides(shrink):
    once, again, other = (run(shrink, seed, 30)[0] for seed in (5, 5, 6))
    assert once == again
    assert once != other


def test_abandoned_trials_change_nothing_but_their_own_number(shrink):
    undisturbed, _ = run(shrink, 0, 30)
    disturbed, study = run(shrink, 0, 30, abandoned={0, 4, 17, 18})
    assert disturbed == undisturbed
    assert [trial.state for trial in study.trials].count(TrialState.FAIL) == 4
    assert len(decided(study)) == 30


def test_finds_a_better_half_than_chance(shrink):
    configs, _ = run(shrink, 0, 60)
    ranked = sorted(shrink.legal, key=made_up_time)
    searched = [ranked.index(config) / len(ranked) for config in configs[STARTUP_TRIALS:]]
    assert sum(searched) / len(searched) < 0.4


def test_overflow_is_a_constraint_that_tpe_learns_from():
    group = group_of(bgmv_shrink, "T=8 H=4096 R=16")

    def overflows(config):
        return config.TILE_H > 512

    configs, study = run(group, 0, 60, overflowing=overflows)
    pruned = [trial for trial in study.trials if trial.state == TrialState.PRUNED]
    assert pruned and all(trial.constraints == {"unified_buffer_bits": 4096} for trial in pruned)
    late = configs[STARTUP_TRIALS:]
    share = sum(map(overflows, group.legal)) / len(group.legal)
    assert sum(map(overflows, late)) / len(late) < share / 2
