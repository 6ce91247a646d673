import importlib.util
import itertools

import optuna
import pytest
from optuna.trial import TrialState

from cold_kernels.bgmv.shrink import bgmv_shrink
from cold_kernels.cases import Case
from tuner.search.group import groups
from tuner.search.sampler import DEFAULT, NEIGHBOURS, OF_EIGHT, SAMPLERS
from tuner.search.study import BATCH, Study
from tuner.search.trial import Outcome
from tuner.search.wishes import NEEDS, STARTUP_TRIALS

from .fake_machine import fake_machine
from .tiny_spec import tiny_add

optuna.logging.set_verbosity(optuna.logging.WARNING)


def group_of(spec, *texts):
    (group,) = groups(spec, [Case.parse(text, spec) for text in texts])
    return group


def made_up_time(config):
    return 10 + abs(config.TILE_H - 1024) / 256 + abs(config.TILE_R - 4) + config.SPLIT_H - config.DEPTH / 8


def opened(group, seed, storage=None, sampler=DEFAULT):
    return Study(group, fake_machine("Ascend910B3"), storage or optuna.storages.InMemoryStorage(), seed, sampler)


def trials_of(storage):
    (summary,) = optuna.get_all_study_summaries(storage)
    return optuna.load_study(study_name=summary.study_name, storage=storage).trials


def outcome_of(config, overflowing=lambda config: False):
    if overflowing(config):
        return Outcome("legal", failure="too large", excess_bits=4096)
    return Outcome("simulated", {"case": made_up_time(config)})


def run(group, seed, trials, *, disturbed=False, overflowing=lambda config: False, sampler=DEFAULT):
    """The configurations that were tried, in order of the search, and the storage.

    Args:
        disturbed: Whether the study is cut off in every batch, each time after another trial of it, and opened anew.
    """
    storage = optuna.storages.InMemoryStorage()
    study = opened(group, seed, storage, sampler)
    trials = min(trials, len(group.legal))
    cuts = itertools.count()
    while len(study.decided) < trials:
        batch = study.batch(trials - len(study.decided))
        for proposal in batch:
            study.start(proposal)
        finished = batch[1 + next(cuts) % 3 :: 2] if disturbed and len(batch) > 3 else batch
        for proposal in reversed(finished):
            study.tell(proposal, outcome_of(proposal.config, overflowing))
        if finished is not batch:
            study = opened(group, seed, storage, sampler)
    return [config for config, _ in study.decided], storage


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
    study = opened(group, 3)
    for proposal in study.batch(100):
        study.start(proposal)
        study.tell(proposal, Outcome("compiles", {"case": 1.0}))
    assert len(study.decided) == len(group.legal)
    assert {config for config, _ in study.decided} == set(group.legal)
    assert study.batch(100) == []
    with pytest.raises(RuntimeError, match="all 4 legal configurations were tried"):
        study.sampler.propose(4, set(group.legal))


def test_parameters_are_what_ran(shrink):
    configs, storage = run(shrink, 1, 20)
    for config, trial in zip(configs, trials_of(storage), strict=True):
        assert dict(config) == trial.user_attrs["config"]
        assert tuple(trial.params.values()) == shrink.point(config)


def test_the_seed_decides(shrink):
    once, again, other = (run(shrink, seed, 30)[0] for seed in (5, 5, 6))
    assert once == again
    assert once != other


def test_a_study_that_is_cut_off_proposes_what_it_would_have_proposed(shrink):
    undisturbed, _ = run(shrink, 0, 30)
    disturbed, storage = run(shrink, 0, 30, disturbed=True)
    assert disturbed == undisturbed
    assert [trial.state for trial in trials_of(storage)].count(TrialState.FAIL) > 4


def test_a_proposal_knows_the_batches_before_its_own_alone(shrink):
    study, other = opened(shrink, 0), opened(shrink, 0)
    batches = []
    for _ in range(3):
        mine, others = study.batch(BATCH), other.batch(BATCH)
        assert [each.config for each in mine] == [each.config for each in others]
        assert len({each.best for each in mine}) == 1
        batches.append(mine)
        for proposal in mine:
            study.start(proposal)
            study.tell(proposal, outcome_of(proposal.config))
        for proposal in reversed(others):
            other.start(proposal)
            other.tell(proposal, outcome_of(proposal.config))
    assert batches[0][0].best == 0
    assert batches[1][0].best == pytest.approx(min(made_up_time(each.config) for each in batches[0]))


def test_more_trials_go_on_where_fewer_ended(shrink):
    storage = optuna.storages.InMemoryStorage()
    for trials in (3, 13, 21, 30):
        study = opened(shrink, 0, storage)
        while len(study.decided) < trials:
            for proposal in study.batch(trials - len(study.decided)):
                study.start(proposal)
                study.tell(proposal, outcome_of(proposal.config))
    assert [config for config, _ in study.decided] == run(shrink, 0, 30)[0]


def test_finds_a_better_half_than_chance(shrink):
    configs, _ = run(shrink, 0, 60)
    ranked = sorted(shrink.legal, key=made_up_time)
    searched = [ranked.index(config) / len(ranked) for config in configs[STARTUP_TRIALS:]]
    assert sum(searched) / len(searched) < 0.4


INSTALLED = [name for name in SAMPLERS if name not in NEEDS or importlib.util.find_spec(NEEDS[name])]


@pytest.mark.parametrize("sampler", INSTALLED)
def test_each_sampler_goes_on_as_it_would_have_gone(shrink, sampler):
    undisturbed, _ = run(shrink, 0, 30, sampler=sampler)
    assert len(set(undisturbed)) == 30 and set(undisturbed) <= set(shrink.legal)
    assert run(shrink, 0, 30, sampler=sampler, disturbed=True)[0] == undisturbed
    assert run(shrink, 1, 30, sampler=sampler)[0] != undisturbed


@pytest.mark.parametrize("sampler", [name for name in INSTALLED if name in ("model", "tpe", "gp")])
def test_what_learns_is_better_than_chance(shrink, sampler):
    ranked = sorted(shrink.legal, key=made_up_time)
    late = run(shrink, 0, 48, sampler=sampler)[0][24:]
    assert sum(map(ranked.index, late)) / len(late) / len(ranked) < 0.4


@pytest.mark.parametrize("sampler, places", OF_EIGHT.items())
def test_some_places_go_to_neighbours_of_the_fastest(shrink, sampler, places):
    if sampler not in INSTALLED:
        pytest.skip(f"{NEEDS[sampler]} is not installed")
    configs, _ = run(shrink, 0, 24, sampler=sampler)
    for place in range(BATCH, 24):
        if place % 8 in places:
            before = configs[: place // BATCH * BATCH]
            known = sorted(before, key=lambda config: (made_up_time(config), shrink.point(config)))[:NEIGHBOURS]
            near = {other for config in known for other in shrink.domain.neighbours(shrink.point(config))}
            if near - set(map(shrink.point, configs[:place])):
                assert shrink.point(configs[place]) in near


def test_a_sampler_that_is_none_or_lacks_its_package(shrink, monkeypatch):
    with pytest.raises(ValueError, match="--sampler best: there is none of that name; use model, tpe, "):
        opened(shrink, 0, sampler="best")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="--sampler cmaes needs the package cmaes: python -m pip install cmaes"):
        opened(shrink, 0, sampler="cmaes")


def test_another_sampler_is_another_study(shrink):
    storage = optuna.storages.InMemoryStorage()
    opened(shrink, 0, storage, "model")
    opened(shrink, 0, storage, "tpe")
    assert len(optuna.get_all_study_summaries(storage)) == 2


@pytest.mark.parametrize("sampler, most", (("model", 1 / 2), ("tpe", 2 / 3)))
def test_overflow_is_a_constraint_that_is_learned_from(sampler, most):
    group = group_of(bgmv_shrink, "T=8 H=4096 R=16")

    def overflows(config):
        return config.TILE_H > 512

    configs, storage = run(group, 0, 60, overflowing=overflows, sampler=sampler)
    pruned = [trial for trial in trials_of(storage) if trial.state == TrialState.PRUNED]
    assert pruned and all(trial.constraints == {"unified_buffer_bits": 4096} for trial in pruned)
    late = configs[2 * BATCH :]  # the first whose proposals know of STARTUP_TRIALS outcomes
    share = sum(map(overflows, group.legal)) / len(group.legal)
    assert sum(map(overflows, late)) / len(late) < share * most
