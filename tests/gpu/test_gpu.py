"""GPUs in numbers, occupancy, the modelled time, the search and what launches take of it; no GPU and no compiler."""

import math
from dataclasses import replace

import pytest
import torch

pytest.importorskip("triton")
from cold_kernels import devices
from cold_kernels.cases import Case
from cold_kernels.devices import Device
from cold_kernels.gpu.compiled import Resources
from cold_kernels.gpu.occupancy import occupancy, resident
from cold_kernels.gpu.targets import GFX942, SM_80, SM_90, SOURCES, TARGETS, target_named
from cold_kernels.launch import forget, selection
from cold_kernels.record import Record
from cold_kernels.specs import load
from cold_kernels.tables import Entry, Table, source_digest, write
from tests.every_kernel import SPECS
from tuner.__main__ import main
from tuner.gpu.interpreted import Traffic
from tuner.gpu.measured import Measured
from tuner.gpu.modelled import LAUNCH, launch_seconds, seconds
from tuner.gpu.search import Search, neighbours
from tuner.search.group import groups

SMALL = Resources(registers=32, spilled=0, shared=0, warps=4)
ON_GPUS = [spec for name, spec in SPECS.items() if not name.endswith("_cube")]


@pytest.mark.parametrize(
    "target, changes, programs",
    [
        (SM_80, {}, 16),  # 64 warps in all
        (SM_80, dict(registers=96), 5),  # 5 warps of 3072 registers in each quarter of 16384
        (SM_80, dict(registers=33), 12),  # as 40: 12 warps in a quarter
        (SM_90, dict(registers=255, warps=8), 1),
        (SM_90, dict(registers=255, warps=16), 0),  # 8 warps of 16
        (SM_80, dict(shared=100 * 1024), 1),
        (SM_90, dict(shared=75 * 1024 + 1), 2),  # 76.1 KB with the system's, of 228 KB
        (SM_90, dict(warps=1), 32),
        (GFX942, dict(registers=128), 4),  # 4 waves in each of 4 SIMDs
        (GFX942, dict(registers=64, warps=1), 16),
        (GFX942, dict(registers=32, scalar_registers=102), 7),  # 800 / 112
        (GFX942, dict(shared=40 * 1024), 1),
    ],
)
def test_programs_of_a_multiprocessor(target, changes, programs):
    found = replace(SMALL, **changes)
    assert resident(found, target) == programs
    assert occupancy(found, target) == programs * found.warps / target.warps


def test_targets_by_name():
    assert target_named("sm_90") is SM_90 and TARGETS.keys() == SOURCES.keys()
    with pytest.raises(ValueError, match="there is no GPU target 'sm_70'; there are sm_80, sm_90, gfx942"):
        target_named("sm_70")


def moved(programs, each=1 << 16, largest=1 << 13):
    return Traffic(programs=programs, loaded=each, stored=0, most=each, largest=largest)


def test_programs_past_what_the_gpu_holds_take_another_turn():
    whole = 16 * SM_90.multiprocessors
    one, two = (
        launch_seconds(moved(programs, each=1 << 12, largest=1 << 12), SMALL, SM_90) for programs in (whole, whole + 1)
    )
    assert two == pytest.approx(2 * one)


def test_few_programs_that_wait_for_memory_gain_by_larger_loads_and_by_more_programs():
    slow = launch_seconds(moved(8), SMALL, SM_90)
    assert launch_seconds(moved(8, largest=1 << 14), SMALL, SM_90) < slow
    assert launch_seconds(moved(16, each=1 << 15), SMALL, SM_90) < slow


def test_a_kernel_is_no_faster_than_its_bytes_and_each_launch_counts():
    launches = [(moved(8), SMALL)]
    assert seconds(launches, 10**9, SM_90) == pytest.approx(10**9 / SM_90.bandwidth + LAUNCH)
    assert seconds(launches * 2, 1, SM_90) == pytest.approx(2 * seconds(launches, 1, SM_90))
    with pytest.raises(ValueError, match="not one program fits a multiprocessor of sm_90"):
        seconds([(moved(8), replace(SMALL, registers=255, warps=16))], 1, SM_90)


def group_of(name="bgmv_expand", rows=(4, 64)):
    spec = load(name).on("cuda")
    (group,) = groups(spec, [Case.parse(f"T={each} H=4096 R=16", spec) for each in rows])
    return group


def test_the_search_shares_what_shapes_sums_and_chooses_the_rest_by_case():
    group = group_of()

    def judge(config, case):
        best = 16 if case.sizes.T == 4 else 8
        return 1 + abs(math.log2(config.SPLIT / best)) + abs(config.TILE - 4096) / 1024 + abs(config.WARPS - 2)

    found = Search(group, judge, 100).best()
    assert {case.sizes.T: config.SPLIT for case, config in found.items()} == {4: 16, 64: 8}
    assert {(config.TILE, config.WARPS) for config in found.values()} == {(4096, 2)}


def test_the_search_ends_after_its_trials_with_what_works():
    group, asked = group_of(rows=(4,)), []

    def judge(config, case):
        asked.append(config)
        return math.inf if config.WARPS == 1 else 1 / len(asked)

    (config,) = Search(group, judge, 5).best().values()
    assert len(asked) == 5 and config.WARPS != 1 and group.spec.allows(config, group.cases[0].shape())


def test_neighbours_are_one_step_away():
    spec = load("bgmv_expand").on("cuda")
    config = spec.default
    assert {other.SPLIT for other in neighbours(spec, config, "SPLIT")} == {16, 64}
    assert all(other == Record(config, SPLIT=other.SPLIT) for other in neighbours(spec, config, "SPLIT"))


@pytest.mark.parametrize("spec", ON_GPUS, ids=lambda spec: spec.name)
def test_a_declaration_is_another_on_gpus_and_the_same_every_time(spec):
    gpu = spec.on("cuda")
    assert gpu is spec.on("cuda") is gpu.on("cuda") and spec.on("ascend") is spec is spec.on("interpreter")
    assert "WARPS" in gpu.space and "AUTO" not in gpu.space and "DEPTH" not in gpu.space
    assert source_digest(gpu) == source_digest(spec)
    for text in ("", *spec.hard, *spec.targets):
        gpu.default_for(Case.parse(text, gpu).shape())


@pytest.mark.parametrize("spec", [s for s in ON_GPUS if s.name not in ("contrastive_score", "contrastive_argmax")],
                         ids=lambda spec: spec.name)  # fmt: skip
def test_how_tiles_lie_in_threads_does_not_follow_from_the_rows(spec):
    """A maximum has the same bits in any order, a sum has not."""
    gpu = spec.on("cuda")
    tiles = [name for name in gpu.space if name.startswith("TILE")]
    assert {"WARPS", *tiles} <= set(gpu.invariant)
    rows = gpu.bucket[0]
    assert gpu.bucket == (rows,)
    shapes = [Case.parse(f"{rows}={count}", gpu).shape() for count in (1, 16, 256)]
    assert len({gpu.shaping(gpu.default_for(shape)) for shape in shapes}) == 1


def test_gpu_may_not_replace_what_a_kernel_is():
    with pytest.raises(ValueError, match="bgmv_expand: gpu has 'reference'; it may have space, constraints"):
        replace(load("bgmv_expand"), gpu=dict(reference=None))


def test_a_launch_takes_its_own_table_before_that_of_its_architecture(tmp_path, monkeypatch):
    monkeypatch.setenv("COLD_KERNELS_TABLES", str(tmp_path))
    spec, device = load("bgmv_expand"), Device("cuda", "NVIDIA_H100", 2112, "sm_90")
    gpu = spec.on("cuda")
    key = gpu.key(Case.parse("T=4", gpu).shape())
    wanted = []
    for chip, split in (("sm_90", 8), ("NVIDIA_H100", 16)):
        forget()
        config = Record(gpu.default, SPLIT=split)
        entry = Entry(key, config, "compiles")
        write(tmp_path, gpu, Table(gpu.name, chip, source_digest(gpu), {"triton": "3.9.0"}, (entry,)))
        chosen = selection(spec, key, device)
        wanted.append((chosen.config.SPLIT, chosen.evidence))
    assert wanted == [(8, "compiles"), (16, "compiles")]
    forget()
    other = gpu.key(Case.parse("T=4 H=512", gpu).shape())
    assert "NVIDIA_H100" in selection(spec, other, device).reason


@pytest.mark.parametrize(
    "hip, said, family", [(None, {}, "sm_90"), ("6.2", dict(gcnArchName="gfx942:sramecc+"), "gfx942")]
)
def test_a_gpu_s_architecture(monkeypatch, hip, said, family):
    monkeypatch.setattr(torch.version, "hip", hip)
    properties = type("Properties", (), dict(major=9, minor=0, name="X Y", multi_processor_count=4, **said))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)
    devices.forget()
    found = devices._device(torch.device("cuda", 0), False)
    devices.forget()
    assert found == Device("cuda", "X_Y", 64, family)


def test_without_upstream_triton_it_says_so(capsys, tmp_path):
    from cold_kernels.gpu.compiled import upstream_problem

    if upstream_problem() is None:
        return
    assert main(["autotune", "bgmv_shrink", "--chip", "sm_90", "--output", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("autotune: sm_90 needs upstream Triton: the installed Triton (") and said.count("\n") == 1


def test_counts_of_trials_are_checked(capsys):
    assert main(["autotune", "bgmv_shrink", "--chip", "sm_90", "--trials", "-1"]) == 2
    assert "--trials -1: must be 1 or more" in capsys.readouterr().err


class StandIn:
    """A device whose times are made up, and whose clock falls by half all the time."""

    name, cores, moments = "stand-in", 64, 0

    def __init__(self, wrong=()):
        self.refused = set(wrong)

    def place(self, args):
        return dict(args)

    def alive(self):
        return True

    def run(self, calls):
        if calls[0].options["num_warps"] in self.refused:
            raise RuntimeError("out of registers")

    def time(self, calls):
        self.moments += 1
        return [(100 + calls[0].options["num_warps"]) * 2.0**self.moments] * 3


def test_measured_times_are_shares_of_the_defaults_whatever_the_clock(monkeypatch):
    group = group_of(rows=(4,))
    spec, (case,) = group.spec, group.cases
    monkeypatch.setattr(
        Measured,
        "wrong",
        lambda self, config, case: self.device.run(self._calls(config, self.device.place(case.tensors(self.spec)))),
    )
    judge = Measured(spec, StandIn(wrong={8}))
    scores = {warps: judge(Record(group.default, WARPS=warps), case) for warps in (2, 1, 2, 8)}
    assert math.isinf(scores[8])
    assert scores[2] / scores[1] == pytest.approx(102 / 101)


def test_without_a_gpu_there_is_nothing_to_measure(capsys):
    from cold_kernels.gpu.compiled import upstream_problem

    assert main(["autotune", "bgmv_shrink", "--chip", "gpu"]) == 1
    said = capsys.readouterr().err
    assert ("no GPU to measure on" in said) == (upstream_problem() is None) and said.count("\n") == 1
