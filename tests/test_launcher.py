"""Bound launches give Triton what the general way gives it, for every kernel, and for tensors that change."""

import gc
import weakref

import pytest
import torch

pytest.importorskip("triton")
from bench.timing.host import NPU, STEP, calls, stand_in
from cold_kernels import launch, launcher, tables
from cold_kernels.bgmv.shrink import bgmv_shrink
from cold_kernels.cases import Case
from cold_kernels.devices import Device, interpreting
from cold_kernels.launcher import Launcher
from cold_kernels.record import Record
from tests.every_kernel import for_each
from tests.specs import copies, declared

pytestmark = pytest.mark.skipif(interpreting(), reason="TRITON_INTERPRET=1: what is interpreted is never bound")
GPU = Device("cuda", "H100", 132)


@pytest.fixture(autouse=True)
def no_tables(monkeypatch, tmp_path):
    monkeypatch.setenv("COLD_KERNELS_TABLES", str(tmp_path))
    tables.read.cache_clear()
    yield
    tables.read.cache_clear()


def operands(spec, text, seed=0):
    """Tensors and numbers of a case, without what only references read."""
    args = Case.parse(text, spec).tensors(spec, seed)
    return {name: args[name] for name in spec.args if name in args}


def general(spec, args, config, device):
    """What Triton's launcher gets from `KernelSpec.calls`."""
    made = spec.calls(args, config, device.backend, device.cores)
    return [(call.kernel, call.grid, {**call.arguments, **call.constants, **call.options}) for call in made]


def assert_same(found, expected, args):
    """Equal, in the same order: tensors of ``args`` themselves, others alike."""
    assert [(kernel, grid) for kernel, grid, _ in found] == [(kernel, grid) for kernel, grid, _ in expected]
    for (_, _, mine), (_, _, theirs) in zip(found, expected, strict=True):
        assert list(mine) == list(theirs)
        for name, value in mine.items():
            if not isinstance(value, torch.Tensor):
                assert (type(value), value) == (type(theirs[name]), theirs[name]), name
            elif any(value is arg for arg in args.values()):
                assert value is theirs[name], name
            else:
                what = (value.shape, value.stride(), value.dtype, value.device)
                other = theirs[name]
                assert what == (other.shape, other.stride(), other.dtype, other.device), name
                assert value is not other


def some_configs(spec, shape):
    """The default, and the first and last that are legal."""
    legal = list(spec.configs(shape))
    return dict.fromkeys((spec.default_for(shape), legal[0], legal[-1]))


def layouts(spec):
    listed = (spec.typical, *spec.hard)
    return [(text,) for text in dict.fromkeys((*listed, *(f"{t} strided" for t in listed if "strided" not in t)))]


@pytest.mark.parametrize("device", [NPU, GPU], ids=lambda device: device.backend)
@for_each("text", layouts)
def test_bound_arguments_are_the_general_ones(spec, text, device):
    first, second = operands(spec, text), operands(spec, text, seed=1)
    second |= {name: type(value)(not value) for name, value in second.items() if name in spec.scalars}
    shape = spec.shape_of(first)
    for config in some_configs(spec, shape):
        bound = Launcher(spec, device)
        bound.keep(bound.layout(first), shape, config, spec.calls(first, config, device.backend, device.cores))
        known = bound.known(bound.layout(second))
        made = [
            (call.kernel, call.grid, arguments)
            for call, arguments in zip(known.calls, bound.arguments(known, second), strict=True)
        ]
        assert_same(made, general(spec, second, config, device), second)


def in_stand_in(spec, args, seen):
    seen.clear()
    launch.launch(spec, args)
    return [
        (kernel, given["grid"], {name: value for name, value in given.items() if name not in ("grid", "warmup")})
        for kernel, given in seen
    ]


@for_each("text", lambda spec: [(text,) for text in spec.hard[:2]])
def test_the_first_launch_and_the_next_ones(spec, text):
    args, seen = operands(spec, text), []
    shape = spec.shape_of(args)
    with stand_in(lambda kernel, given: seen.append((kernel, given))):
        chosen = launch.selection(spec, spec.key(shape), NPU).config
        expected = general(spec, args, chosen, NPU)
        for _ in range(3):
            assert_same(in_stand_in(spec, args, seen), expected, args)


CHANGES = {
    "more rows": dict(x=torch.ones(9, 64), y=torch.ones(9, 6), idx=torch.zeros(9, dtype=torch.int64)),
    "wider rows": dict(x=torch.ones(5, 99)[:, :64]),
    "rows of a column": dict(x=torch.ones(5, 1, 64).expand(5, 2, 64)[:, 1]),
    "another type": dict(x=torch.ones(5, 64).half(), a=torch.ones(3, 6, 64).half()),
    "another index type": dict(idx=torch.zeros(5, dtype=torch.int32)),
    "more slots": dict(a=torch.ones(4, 6, 64)),
    "weights of a slice": dict(a=torch.ones(3, 12, 64)[:, 2:8]),
    "another rank": dict(a=torch.ones(3, 7, 64), y=torch.ones(5, 7)),
    "a wider output": dict(y=torch.ones(5, 10)[:, 2:8]),
    "a transposed output": dict(y=torch.ones(6, 5).T),
    "another number": dict(scale=-3.0),
    "a whole number": dict(scale=2),
}


def shrunk(**changes):
    return (
        dict(
            x=torch.ones(5, 64),
            a=torch.ones(3, 6, 64),
            y=torch.ones(5, 6),
            idx=torch.zeros(5, dtype=torch.int64),
            scale=0.5,
        )
        | changes
    )


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_changes_is_launched_as_it_is(change):
    seen = []
    with stand_in(lambda kernel, given: seen.append((kernel, given))):
        for args in (shrunk(), shrunk(**change), shrunk(), shrunk(**change)):
            config = launch.selection(bgmv_shrink, bgmv_shrink.key(bgmv_shrink.shape_of(args)), NPU).config
            assert_same(in_stand_in(bgmv_shrink, args, seen), general(bgmv_shrink, args, config, NPU), args)


WRONG = {
    "a missing one": dict(x=None),
    "a list": dict(x=[1.0]),
    "other rows": dict(y=torch.ones(4, 6)),
    "another type": dict(y=torch.ones(5, 6).half()),
    "types that differ": dict(a=torch.ones(3, 6, 64).half()),
    "index type": dict(idx=torch.zeros(5)),
    "dimensions": dict(a=torch.ones(3, 1, 6, 64)),
    "a stride that the kernel does not take": dict(x=torch.ones(5, 128)[:, ::2]),
    "sparse": dict(a=torch.ones(3, 6, 64).to_sparse()),
    "complex": dict(a=torch.ones(3, 6, 64).to(torch.complex64)),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_wrong_tensors_are_refused_as_in_the_general_way(change):
    wrong, seen = shrunk(**change), []
    with pytest.raises((TypeError, ValueError, RuntimeError, AttributeError)) as expected:
        wrong["x"].device  # noqa: B018
        bgmv_shrink.calls(wrong, bgmv_shrink.default, NPU.backend, NPU.cores)
    with stand_in(lambda kernel, given: seen.append(kernel)):
        launch.launch(bgmv_shrink, shrunk())
        seen.clear()
        for _ in range(2):
            with pytest.raises(expected.type) as found:
                launch.launch(bgmv_shrink, wrong)
            assert str(found.value) == str(expected.value)
    assert not seen


def test_an_argument_that_is_missing():
    args = shrunk()
    with stand_in():
        launch.launch(bgmv_shrink, args)
        del args["idx"]
        for more in ({}, {"other": 1}):
            with pytest.raises(TypeError, match="bgmv_shrink: tensor idx is missing"):
                launch.launch(bgmv_shrink, args | more)


def in_parts():
    """A kernel that has a workspace, whatever its tables say."""
    return declared(space=copies.space | dict(PARTS=type(copies.space["PARTS"])((2,), 2)))


def copied(rows=4):
    return dict(x=torch.ones(rows, 8), y=torch.empty(rows, 8), at=torch.zeros(rows, dtype=torch.int64), s=2.0)


def test_workspaces_are_made_anew():
    spec, seen = in_parts(), []
    with stand_in(lambda kernel, given: seen.append(given)):
        for _ in range(3):
            launch.launch(spec, copied())
    parts = [given["part_ptr"] for given in seen[1::2]]
    assert all(first["y_ptr"] is part for first, part in zip(seen[::2], parts, strict=True))
    assert len({part.data_ptr() for part in parts}) == 3
    assert {part.shape for part in parts} == {torch.Size([2, 4, 8])}


def test_a_workspace_of_the_callers_is_taken():
    spec, mine, seen = in_parts(), torch.empty(2, 4, 8), []
    with stand_in(lambda kernel, given: seen.append(given)):
        launch.launch(spec, copied())
        launch.launch(spec, copied() | dict(part=mine))
    assert seen[2]["y_ptr"] is mine and seen[3]["part_ptr"] is mine


def test_workspaces_under_inference_and_gradients():
    spec, seen = in_parts(), []
    with stand_in(lambda kernel, given: seen.append(given)):
        launch.launch(spec, copied())
        with torch.inference_mode():
            launch.launch(spec, copied())
        launch.launch(spec, copied() | dict(x=torch.ones(4, 8, requires_grad=True)))
    assert [given["part_ptr"].is_inference() for given in seen[1::2]] == [False, True, False]
    assert not seen[-1]["part_ptr"].requires_grad


def test_no_tensor_is_kept():
    with stand_in():
        args = shrunk()
        gone = [weakref.ref(value) for value in args.values() if isinstance(value, torch.Tensor)]
        launch.launch(bgmv_shrink, args)
        launch.launch(bgmv_shrink, args)
        del args
        gc.collect()
        assert not any(ref() is not None for ref in gone)


def test_layouts_kept_are_bounded(monkeypatch):
    monkeypatch.setattr(launcher, "MOST_LAYOUTS", 3)
    with stand_in():
        for rows in range(1, 9):
            launch.launch(copies, copied(rows))
        kept = launch.launcher_of(copies, NPU)
        assert len(kept._bound) == 3
        assert kept.known(kept.layout(copied(8))) and not kept.known(kept.layout(copied(1)))


def test_a_launch_that_fails_is_not_kept():
    def fails(kernel, given):
        raise RuntimeError("does not compile")

    with stand_in(fails):
        with pytest.raises(RuntimeError, match="does not compile"):
            launch.launch(copies, copied())
        kept = launch.launcher_of(copies, NPU)
        assert not kept.known(kept.layout(copied()))


def test_forgotten_choices_are_made_anew(monkeypatch):
    seen = []
    with stand_in(lambda kernel, given: seen.append(given["TILE"])):
        launch.launch(copies, copied())
        other = tables.Selection(Record(copies.default, TILE=16), "legal", "for a test")
        monkeypatch.setattr(launch, "select", lambda *args: other)
        launch.launch(copies, copied())
        launch.forget()
        launch.launch(copies, copied())
    assert seen == [8, 8, 16]


def test_operators_launch_what_is_bound():
    """Every call that ``python -m bench host`` times launches, and in the same way each time."""
    seen = []
    with stand_in(lambda kernel, given: seen.append((kernel.__name__, given["grid"], sorted(given)))):
        for name, call in calls().items():
            seen.clear()
            call()
            first = list(seen)
            call()
            assert first and seen == first * 2, name
            assert len(first) == (130 if name == STEP else len(first)) and len(first) >= 1
