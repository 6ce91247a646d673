"""The micro-benchmarks: each kernel declared as a `KernelSpec`, and the cases that it is timed on.

What a case leaves open is its spec's ``typical``. Cases are few and long, so that a launch of some 10 us does not hide
what they are about, and sizes are run-time arguments where they can be, so that little has to be compiled.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

from cold_kernels.arguments import In, InOut, Out, Scalar
from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.spec import KernelSpec
from cold_kernels.stage import Stage
from cold_kernels.tunables import AutoMultiBuffer, Choice, Tunable

from . import kernels

PREFIX = "micro."
RELATIVE, ABSOLUTE = 1e-3, 1e-5
"""Largest error of a right result; fp16 gets ten times as much."""


class Micro(NamedTuple):
    """A micro-benchmark; ``checked`` is what is compared with float64 in its place where it writes nothing itself."""

    spec: KernelSpec
    case: Case
    config: Record
    checked: Case


def _ramp(size: list[int], _: torch.Generator) -> torch.Tensor:
    count = 1
    for length in size:
        count *= length
    return (torch.arange(count) % 1021).reshape(size)


def _near_one(size: list[int], generator: torch.Generator) -> torch.Tensor:
    return torch.rand(size, generator=generator) + 0.5


def _signs(size: list[int], generator: torch.Generator) -> torch.Tensor:
    return torch.randint(0, 2, size, generator=generator) * 2.0 - 1


def _next(size: list[int], _: torch.Generator) -> torch.Tensor:
    return (torch.arange(size[0]) + 17) % size[0]


def _spec(
    kernel: Any, typical: str, reference: Callable, grid: Callable = lambda s: 1,
    name: str = "", space: Mapping[str, Tunable] = {}, **args: Any,
) -> KernelSpec:  # fmt: skip

    outputs = [name for name, arg in args.items() if getattr(arg, "role", "") in ("output", "inout")]  # all the same

    def tolerance(**values: Any) -> dict[str, torch.Tensor]:
        loose = 10 if values["y"].dtype == torch.float16 else 1
        return dict.fromkeys(outputs, loose * (RELATIVE * reference(**values).double().abs() + ABSOLUTE))

    return KernelSpec(
        name=PREFIX + (name or kernel.__name__),
        stages=(Stage(kernel, lambda config, shape, cores: (grid(shape),)),),
        args=args,
        space=space,
        group=(),
        bucket=(),
        reference=lambda **values: dict.fromkeys(outputs, reference(**values).double()),
        tolerance=tolerance,
        minimal_bytes=lambda **values: sum(v.nbytes for v in values.values() if isinstance(v, torch.Tensor)),
        typical=typical,
        hard=(),
        targets=(),
    )


def _queued(y, y_before, times, busy, late):
    tile = torch.arange(y.shape[1]).to(y) * (1 - times % 2 * 2)
    program = torch.arange(y.shape[0])
    return torch.where(((program < busy) | (program >= late))[:, None], tile, y_before)


def _loaded(x, y, y_before, times, step, away, keep):
    if not keep:
        return y_before
    programs, size = y.shape
    return torch.stack([x[p * away + (times - 1) * step :][:size] for p in range(programs)])


def _stored_rows(y, y_before):
    blocks, rows, width = y.shape
    tile = torch.arange(rows)[:, None] + torch.arange(width // 2)[None, :]
    return torch.cat([tile.to(y.dtype).expand(blocks, -1, -1), y_before[:, :, width // 2 :]], 2)


def _many(x, y_before, keep, **_):
    return x if keep else y_before


def _rows(x, y, y_before, pitch, keep, **_):
    return torch.stack([x[m * pitch :][: y.shape[1]] for m in range(y.shape[0])]) if keep else y_before


STEPS = {
    "add": lambda x, y: y + x,
    "scale": lambda x, y: -y,
    "exp": lambda x, y: (-y).exp(),
    "divide": lambda x, y: x / y,
    "cast": lambda x, y: y.float().half().double() + x,
}


def _vector(operation: str) -> Callable:
    def reference(x, y_before, times, **_):
        x, y = x.double(), y_before.double()
        for _ in range(times):
            y = STEPS[operation](x, y)
        return y

    return reference


def _by_rows(operation: str) -> Callable:
    def reference(x, r, times, **_):
        x, r = x.double(), r.double()[:, None]
        for _ in range(times):
            x = x * r
            x = x.float().half().double() if operation == "cast" else x
        return x

    return reference


def _reduced(operation: str) -> Callable:
    def reference(x, times, **_):
        rows = x.double().sum(1) if operation == "sum" else x.double().amax(1)
        each = x.shape[1] if operation == "sum" else 1
        return times * rows + each * times * (times + 1) / 2

    return reference


def _transposed(x, times, **_):
    return (x.double().T if times % 2 else x.double()) + times


def _swapped(x, y_before, times, **_):
    x, y = x.double(), y_before.double()
    for _ in range(times):
        x, y = y, -x
    return x


def _read_back(x, times, **_):
    mean, x = 0.0, x.double()
    for _ in range(times):
        mean = float((x + mean).sum()) * 0.001
    return x + mean


def _running(x, times, **_):
    x = x.double()
    for _ in range(times):
        x = x.cumsum(0) / x.numel()
    return x


def _chased(x, y, times):
    return torch.full_like(y, times * 17 % x.numel())


def _touched(y, **tensors):
    at = 0
    for number in range(TENSORS):
        at = int(tensors[f"x{number}"][at])
    return torch.full_like(y, at)


def _counted(y, times, by=1):
    number = 1
    for _ in range(times):
        number = ((number * 5 + 3) // by) & 1023
    return torch.full_like(y, number)


def _issued(y, times):
    tiles = (torch.arange(8)[:, None] + torch.arange(y.shape[0] // 8)).to(y) * (1 - times % 2 * 2)
    tiles[0] += _counted(y[:1], 20 * times)
    return tiles.flatten()


TENSORS = 8
TIMES, AUTO = Scalar("i32", 100), dict(AUTO=AutoMultiBuffer())
FP16, FP32 = In("N", "fp16", make=_ramp), In("E", "fp32 fp16", make=_near_one)
PROGRAMS = dict(grid=lambda s: s.P)

START = _spec(kernels.start, "P=1 E=8", lambda y: torch.arange(8).to(y).expand_as(y), y=Out("P E", "fp32"), **PROGRAMS)
QUEUE = _spec(
    kernels.queue, "P=40 E=2048", _queued, y=InOut("P E", "fp32"), times=TIMES,
    busy=Scalar("i32", 40), late=Scalar("i32", 65536), **PROGRAMS,
)  # fmt: skip
LOAD = _spec(
    kernels.load, "P=1 E=2048 N=204800", _loaded, **PROGRAMS,
    x=FP16, y=InOut("P E", same_dtype="x"), times=TIMES, step=Scalar("i32", 0), away=Scalar("i32", 0),
    keep=Scalar("i32", 0),
)  # fmt: skip
LOAD_MANY = _spec(
    kernels.load_many, "N=512", _many, x=FP16, y=InOut("N", same_dtype="x"), times=TIMES, keep=Scalar("i32", 0)
)
LOAD_ROWS = _spec(
    kernels.load_rows, "M=64 E=64 N=131072", _rows, x=FP16, y=InOut("M E", same_dtype="x"), times=TIMES,
    pitch=Scalar("i32", 512), keep=Scalar("i32", 0),
)  # fmt: skip
STORE = _spec(
    kernels.store, "P=1 K=100 E=128", lambda y: torch.arange(y.shape[2]).to(y).expand_as(y), **PROGRAMS,
    y=Out("P K E", "fp32"),
)  # fmt: skip
STORE_MANY = _spec(
    kernels.store_many, "E=64", lambda y, **_: torch.arange(y.shape[0]).to(y), y=Out("E", "fp32"), times=TIMES,
    **{f"y{number}": Out("E", "fp32") for number in range(1, TENSORS)},
)  # fmt: skip
STORE_ROWS = _spec(kernels.store_rows, "K=100 M=64 W=32", _stored_rows, y=InOut("K M W", "fp32"))
COPY = _spec(
    kernels.copy, "P=1 K=100 E=1024", lambda x, y: x, **PROGRAMS, x=In("P K E", "fp32"), y=Out("P K E", "fp32"),
    space=AUTO,
)  # fmt: skip
NEGATE = _spec(kernels.negate, "K=100 E=1024", lambda x, y: -x, x=In("K E", "fp32"), y=Out("K E", "fp32"), space=AUTO)
ACCUMULATE = _spec(
    kernels.accumulate, "K=100 E=1024", lambda x, y: x.double().sum(0), x=In("K E", "fp32", make=_near_one),
    y=Out("E", "fp32"), space=AUTO,
)  # fmt: skip
VECTOR = {
    name: _spec(
        kernels.vector, "E=8192 dtype=fp32", _vector(name), name=f"vector_{name}", space=dict(OP=Choice(name)),
        x=FP32, y=InOut("E", same_dtype="x"), times=TIMES,
    )
    for name in STEPS
}  # fmt: skip
VECTOR_MANY = _spec(
    kernels.vector_many, "N=512", lambda x, y, times: -x if times % 2 else x,
    x=In("N", "fp32"), y=Out("N", "fp32"), times=TIMES,
)  # fmt: skip
ISSUE = _spec(kernels.issue, "N=512", _issued, y=Out("N", "fp32"), times=TIMES)
ROWS = {
    name: _spec(
        kernels.rows, "M=64 E=8", _by_rows(name), name=f"rows_{name}", space=dict(OP=Choice(name)),
        x=In("M E", "fp32", make=_near_one), r=In("M", "fp32", make=_signs), y=Out("M E", "fp32"), times=TIMES,
    )
    for name in ("scale", "cast")
}  # fmt: skip
REDUCE = {
    name: _spec(
        kernels.reduce, "M=64 E=64", _reduced(name), name=f"reduce_{name}", space=dict(OP=Choice(name)),
        x=In("M E", "fp32", make=_near_one), y=Out("M", "fp32"), times=TIMES,
    )
    for name in ("sum", "max")
}  # fmt: skip
SWAP = _spec(kernels.swap, "E=8192 dtype=fp32", _swapped, x=FP32, y=InOut("E", same_dtype="x"), times=TIMES)
TRANSPOSE = _spec(kernels.transpose, "M=64 N=64", _transposed, x=In("M N", "fp32"), y=Out("M N", "fp32"), times=TIMES)
READ_BACK = _spec(kernels.read_back, "E=64 dtype=fp32", _read_back, x=FP32, y=Out("E", same_dtype="x"), times=TIMES)
RUNNING = _spec(
    kernels.running, "E=256 dtype=fp32", _running, x=FP32, y=Out("E", same_dtype="x"), times=Scalar("i32", 10)
)
CHASE = _spec(kernels.chase, "N=64 A=1", _chased, x=In("N", "int32", make=_next), y=Out("A", "int32"), times=TIMES)
TOUCH = _spec(
    kernels.touch, "P=1 N=64", _touched, y=Out("P", "int32"),
    **{f"x{number}": In("N", "int32", make=_next) for number in range(TENSORS)}, **PROGRAMS,
)  # fmt: skip
COUNT = _spec(kernels.count, "A=1", _counted, y=Out("A", "int32"), times=TIMES)
DIVIDE = _spec(kernels.divide, "A=1", _counted, y=Out("A", "int32"), times=TIMES, by=Scalar("i32", 3))

SPECS = {
    spec.name: spec
    for spec in (
        START, QUEUE, LOAD, LOAD_MANY, LOAD_ROWS, STORE, STORE_MANY, STORE_ROWS, COPY, NEGATE, ACCUMULATE,
        *VECTOR.values(), VECTOR_MANY, ISSUE, *ROWS.values(), *REDUCE.values(), SWAP, TRANSPOSE, READ_BACK, RUNNING,
        CHASE, TOUCH, COUNT, DIVIDE,
    )
}  # fmt: skip
"""By name."""

CASES = (
    *((START, f"P={programs}") for programs in (1, 10, 40)),
    *((QUEUE, f"P={programs} busy=0") for programs in (1, 2, 4, 40, 400, 4000)),
    *((QUEUE, f"P={programs} times={times} busy={programs}") for times in (100, 300) for programs in (40, 400)),
    (QUEUE, "P=65 times=600 busy=39 late=64"),
    (QUEUE, "P=90 times=600 busy=39 late=89"),
    (QUEUE, "P=120 times=600 busy=39 late=119"),
    (QUEUE, "P=90 times=600 busy=39"),
    *((LOAD, f"E={size} times={times} step={size}") for size in (128, 2048) for times in (1, 2, 4)),
    (LOAD, "P=40 E=128 N=10000 times=1 away=128"),
    (LOAD, "P=40 E=128 times=1"),
    (LOAD, "E=256 N=102400 times=400 step=256"),
    (LOAD, "times=200 step=1016"),
    (LOAD, "times=200"),
    (LOAD, "E=16384 N=1638400 step=16384"),
    (LOAD, "E=16384 N=16384"),
    (LOAD, "P=40 E=16384 N=13107200 times=20 step=16384 away=327680"),
    (LOAD, "P=40 E=16384 N=16384"),
    (LOAD_MANY, "times=200"),
    (LOAD_MANY, "N=128"),
    (LOAD_ROWS, ""),
    (LOAD_ROWS, "M=256 E=16 times=50"),
    (STORE, "K=400"),
    (STORE, "K=200 E=1024"),
    (STORE, "E=8192"),
    (STORE, "P=40 K=20 E=8192"),
    (STORE_MANY, "times=200"),
    (STORE_ROWS, ""),
    *((spec, f"K=200 AUTO={auto}") for auto in (True, False) for spec in (COPY, NEGATE, ACCUMULATE)),
    (COPY, "P=40 K=50 E=8192 AUTO=True"),
    *((VECTOR["scale"], text) for text in ("E=64 times=1000", "E=1024 times=400", "")),
    (VECTOR_MANY, "times=400"),
    *((ISSUE, f"times={times}") for times in (400, 600, 800)),
    *((VECTOR["add"], text) for text in ("E=1024 times=400", "")),
    *((VECTOR[name], "") for name in ("exp", "divide", "cast")),
    (VECTOR["exp"], "dtype=fp16"),
    (ROWS["scale"], ""),
    (ROWS["scale"], "E=64"),
    (ROWS["cast"], ""),
    *((spec, "") for spec in REDUCE.values()),
    (SWAP, ""),
    (TRANSPOSE, "times=40"),
    *((READ_BACK, f"times={times}") for times in (300, 500, 800, 1200)),
    (RUNNING, ""),
    (CHASE, "times=2000"),
    (CHASE, "N=16384 times=500"),
    (TOUCH, ""),
    *((TOUCH, f"P={programs}") for programs in (40, 400, 800)),
    *((COUNT, f"times={times}") for times in (3000, 5000)),
    (DIVIDE, "times=2000"),
)
"""Specs, and what each is timed on: sizes and numbers, and tunables where there is a choice."""


def micros() -> list[Micro]:
    """The micro-benchmarks, in the order in which they are measured."""
    made = []
    for spec, text in CASES:
        choice = [word for word in text.split() if word.partition("=")[0] in spec.space]
        words = " ".join(word for word in text.split() if word not in choice)
        config = Record(spec.default, **{word.partition("=")[0]: word.endswith("True") for word in choice})
        case = Case.parse(words, spec)
        kept = Case.parse(f"{words} keep=1", spec) if "keep" in spec.scalars else case
        made.append(Micro(spec, case, config, kept))
    return made
