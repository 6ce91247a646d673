"""What every registered kernel must do, in whichever way it is run: interpreted or compiled."""

import functools
import heapq
import math
import mmap

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cold_kernels.cases import Case, errors, poisoned
from cold_kernels.contrastive import cpu
from cold_kernels.devices import interpreting
from cold_kernels.dtypes import TORCH
from cold_kernels.specs import KERNELS, load

SPECS = {name: load(name) for name in KERNELS}
IN_TORCH = {"contrastive_score": cpu.score, "contrastive_argmax": cpu.argmax}
"""The CPU path of kernels whose results have the same bits as its own; one NaN is as good as another."""
WIDE_STRIDES = 2**30 + 8, 2**31 + 8
"""Strides that leave 32 bits in the third row, and at once."""


def tensors(spec, text, seed=0):
    return Case.parse(text, spec).tensors(spec, seed)


def assert_right(spec, args):
    wrong = {name: error for name, error in errors(spec, args).items() if error > 1}
    assert not wrong, f"errors in units of their bounds: {wrong}"


def bits(tensor):
    """The tensor's bits as integers, so that equal NaN are equal."""
    return tensor.contiguous().view({1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.itemsize])


def far(tensor, stride=WIDE_STRIDES[0]):
    """The same values in rows that many elements apart, in memory that takes no room until it is touched."""
    strides = (stride, *torch.empty(tensor.shape[1:]).stride())
    extent = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, strides, strict=True))
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000  # MAP_NORESERVE, which Python names from 3.13 on
    memory = mmap.mmap(-1, extent * tensor.element_size(), flags=flags)
    return torch.frombuffer(memory, dtype=tensor.dtype).as_strided(tensor.shape, strides).copy_(tensor)


def dtypes(spec):
    return next(iter(spec.operands.values())).dtypes


def rows_of(spec):
    """The dimension of which the outputs have a row each."""
    return spec.operands[spec.outputs[0]].dims[0]


def size(spec, text):
    return math.prod(Case.parse(text, spec).sizes.values())


def some_rows(spec, args, some):
    """``args`` with these rows alone, outputs full of NaN or as they were before."""
    batch = dict(args)
    for name, arg in spec.operands.items():
        if arg.dims[0] != rows_of(spec):
            continue
        if arg.role == "inout":
            batch[f"{name}_before"] = args[f"{name}_before"][some]
            batch[name] = batch[f"{name}_before"].clone()
        elif arg.role == "output":
            batch[name] = poisoned(list(args[name][some].shape), args[name].dtype)
        else:
            batch[name] = args[name][some]
    for name, arg in spec.operands.items():
        if arg.role == "derived":
            batch[name] = arg.derive(batch) if args[name].numel() else args[name]
    return batch


@functools.cache
def legal(spec, text):
    return list(spec.configs(Case.parse(text, spec).shape()))


class Nearest(tuple):
    """Configurations, the best first; in a test's name the first stands for all."""

    @property
    def name(self):
        return str(self[0]).replace(" ", ",")


def extreme_configs(spec, backend):
    """``(case, configs, dtype)`` with each tunable at either end, others near the default, and with all at an end.

    The case is the second hard one, else the smallest declared one for which that is legal, of few rows.
    ``configs`` are the few that come nearest, for where a compiler refuses the first.
    Those whose first is the same on the back end count once.
    """
    declared = sorted((spec.typical, *spec.hard, *spec.targets), key=lambda text: size(spec, text))
    texts = [f"{text} {rows_of(spec)}=3" for text in (spec.hard[1], *declared)]
    wanted = [(name, t.values[end]) for name, t in spec.space.items() for end in (0, -1)]
    found = {}

    def add(text, configs, aim):
        def steps(config):
            return sum(abs(t.values.index(config[name]) - aim(t)) for name, t in spec.space.items())

        nearest = Nearest(heapq.nsmallest(12, configs, key=steps))
        items = [(t.constants(name, nearest[0][name], backend), t.options(nearest[0][name], backend))
                 for name, t in spec.space.items()]  # fmt: skip
        found.setdefault(str(items), (text, nearest))

    for name, value in wanted:
        fitting = ([config for config in legal(spec, text) if config[name] == value] for text in texts)
        text, configs = next((text, configs) for text, configs in zip(texts, fitting, strict=True) if configs)
        add(text, configs, lambda t: t.values.index(t.default))
    add(texts[0], legal(spec, texts[0]), lambda t: 0)
    add(texts[0], legal(spec, texts[0]), lambda t: len(t.values) - 1)
    return [(text, configs, dtypes(spec)[i % len(dtypes(spec))]) for i, (text, configs) in enumerate(found.values())]


def for_each(names, make):
    """Parametrize by ``spec`` and the names, with the tuples that ``make(spec)`` lists."""
    listed = [(spec, *items) for spec in SPECS.values() for items in make(spec)]
    ids = ["-".join(getattr(item, "name", str(item).replace(" ", ",")) for item in items) for items in listed]
    return pytest.mark.parametrize(f"spec, {names}", listed, ids=ids)


def hard_cases(spec):
    """Each hard case in each element type once: two of three are compiled, the third is interpreted.

    Which one that is turns from case to case and from kernel to kernel, so that every type meets every kind of
    hardness both ways. A strided second case is left to the test of the memory between rows.
    """
    types, turn = dtypes(spec), list(KERNELS).index(spec.name)
    cases = [(i, text) for i, text in enumerate(spec.hard) if text != between_rows(spec)]
    return [
        (text, dtype)
        for i, text in cases
        for dtype in types
        if (dtype == types[(turn + i) % len(types)]) == interpreting()
    ]


def between_rows(spec):
    """The second hard case, with gaps between rows."""
    return spec.hard[1] if Case.parse(spec.hard[1], spec).strided else f"{spec.hard[1]} strided"


def free_types(spec):
    """Operands whose element type does not follow from the first one's, with what they may be."""
    others = list(spec.operands.items())[1:]
    free = [(name, arg) for name, arg in others if arg.role not in ("index", "derived") and not arg.same_dtype]
    return [(name, dtype) for name, arg in free for dtype in arg.dtypes]


def indices(spec):
    return [(name,) for name, arg in spec.operands.items() if arg.role == "index" and arg.none is not None]


def far_matrices(spec):
    return [(name, stride) for name, arg in spec.operands.items() if len(arg.dims) > 1 for stride in WIDE_STRIDES]


class EveryKernel:
    """A subclass runs a kernel its own way, and checks the `extreme_configs` there."""

    def run(self, spec, args, config, cores):
        raise NotImplementedError

    def launch(self, spec, args, config=None, cores=3):
        """Run with ``config``, by default what an untuned launch takes, and with workspaces full of NaN."""
        torch.use_deterministic_algorithms(True)  # fills what torch.empty makes
        try:
            assert torch.empty(1).isnan()
            return self.run(spec, args, config or spec.default_for(spec.shape_of(args)), cores)
        finally:
            torch.use_deterministic_algorithms(False)

    def check(self, spec, args, **how):
        self.launch(spec, args, **how)
        assert_right(spec, args)
        if spec.name in IN_TORCH:
            (name,) = spec.outputs
            expected = poisoned(list(args[name].shape), args[name].dtype)
            IN_TORCH[spec.name](**{**args, name: expected})
            both_nan = args[name].isnan() & expected.isnan()
            assert ((bits(args[name]) == bits(expected)) | both_nan).all()

    @for_each("text, dtype", hard_cases)
    def test_hard_cases(self, spec, text, dtype):
        self.check(spec, tensors(spec, f"{text} dtype={dtype}"))

    @for_each("dtype", lambda spec: [(dtype,) for dtype in dtypes(spec)])
    def test_memory_between_rows_is_left_alone(self, spec, dtype):
        args = tensors(spec, f"{between_rows(spec)} dtype={dtype}")
        wholes = {name: args[name]._base for name in spec.outputs if args[name]._base is not None}
        self.check(spec, args)
        for name, whole in wholes.items():
            around = whole[..., args[name].shape[-1] :]
            assert torch.equal(bits(around), bits(poisoned(list(around.shape), around.dtype)))

    @for_each("name, dtype", free_types)
    def test_other_element_types(self, spec, name, dtype):
        args = tensors(spec, spec.hard[1])
        args |= {key: args[key].to(TORCH[dtype]) for key in (name, f"{name}_before") if key in args}
        self.check(spec, args)

    @for_each("name, stride", far_matrices)
    def test_offsets_of_more_than_32_bits(self, spec, name, stride):
        args = tensors(spec, f"{spec.hard[1]} {rows_of(spec)}=3")
        args[name] = far(args[name], stride)
        self.check(spec, args)

    @for_each("name", indices)
    def test_an_index_out_of_range_points_nowhere(self, spec, name):
        slots = Case.parse(spec.hard[1], spec).sizes[spec.operands[name].into]
        args = tensors(spec, f"{spec.hard[1]} {rows_of(spec)}=5")
        args[name] = torch.tensor([0, slots, -2, 1 << 40, slots - 1])
        self.check(spec, args)

    @pytest.mark.parametrize("rank", (3, 12, 16, 100))
    def test_an_infinity_is_not_multiplied_by_padding(self, rank):
        spec = SPECS["bgmv_shrink_expand"]
        args = tensors(spec, f"T=3 L=2 H=70 S=1 R={rank} D=40 dtype=fp32")
        for name in ("a", "b", "x"):
            args[name].abs_()
        args["x"][1, 3] = torch.inf
        self.check(spec, args)
        assert args["y"][1].isposinf().all() and args["y"][::2].isfinite().all()

    @settings(deadline=None, max_examples=12)
    @given(data=st.data(), spec=st.sampled_from(list(SPECS.values())))
    def test_a_row_does_not_depend_on_the_others(self, data, spec):
        rows = data.draw(st.integers(1, 6), label="rows")
        dtype = data.draw(st.sampled_from(dtypes(spec)), label="dtype")
        small = sorted(spec.hard, key=lambda text: size(spec, text))[1:4]
        text = f"{data.draw(st.sampled_from(small))} {rows_of(spec)}={rows} dtype={dtype}"
        args = tensors(spec, text, seed=data.draw(st.integers(0, 99)))
        self.check(spec, args)
        some = torch.tensor(data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=8)))
        batch = some_rows(spec, args, some)
        self.launch(spec, batch, cores=data.draw(st.sampled_from([1, 3, 40])))
        for name in spec.outputs:
            assert torch.equal(bits(batch[name]), bits(args[name][some]))
