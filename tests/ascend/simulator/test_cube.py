"""Operations of the cube core on their own: tiles of L1 and L0C, parts of the depth, the way out, what is refused."""

import math

import numpy as np
import pytest
import torch

pytest.importorskip("xdsl")
pytest.importorskip("ml_dtypes")
from cold_kernels.ascend import UnsupportedProgram, simulate
from cold_kernels.ascend.simulator import OutOfBounds, find_hazards
from cold_kernels.ascend.simulator.dialects.multiply import to_hf32
from cold_kernels.ascend.simulator.trace.events import Issue
from tests.ascend.simulator.programs import buffer, constants, hand_written, tensor


def tile(rows, columns, element):
    """A matrix in blocks, as L1 holds it; of L0C blocks have 16 columns."""
    width = {"f16": 16, "bf16": 16, "f32": 8, "i8": 32}[element]
    return f"{math.ceil(columns / width)}x{math.ceil(rows / 16)}x16x{width}x{element}"


def out_tile(rows, columns, element):
    return f"{math.ceil(columns / 16)}x{math.ceil(rows / 16)}x16x16x{element}"


def flag(name, source, waiting, event):
    return f""""hivm.hir.{name}"() <{{set_pipe = #hivm.pipe<PIPE_{source}>, wait_pipe = #hivm.pipe<PIPE_{waiting}>,
        static_event_id = #hivm.event<EVENT_ID{event}>}}> : () -> ()\n"""


def barrier(pipe):
    return f'"hivm.hir.pipe_barrier"() <{{pipe = #hivm.pipe<PIPE_{pipe}>}}> : () -> ()\n'


def fill(name, kind, element):
    zero = "0 : i8" if element == "i8" else f"0.0 : {element}"
    size = math.prod(map(int, kind.split("x")[:-1]))
    return (
        constants(**{f"zero_{name}": zero})
        + f"""
        %flat_{name} = "memref.collapse_shape"(%{name}) <{{reassociation = [[0, 1, 2, 3]]}}>
            : (memref<{kind}, <cbuf>>) -> memref<{size}x{element}, <cbuf>>
        "hivm.hir.vbrc"(%zero_{name}, %flat_{name}) <{{broadcast_dims = array<i64>}}>
            : ({element}, memref<{size}x{element}, <cbuf>>) -> ()\n"""
        + barrier("MTE2")
    )


def to_l1(name, source, source_kind, kind):
    return f""""hivm.hir.nd2nz"({source}, %{name}) <{{dst_continuous, init_out_buffer = false,
        operandSegmentSizes = array<i32: 1, 1, 0, 0>}}> : ({source_kind}, memref<{kind}, <cbuf>>) -> ()\n"""


def product(m, n, k, element, *, turned=("", ""), init="true", out="f32", fixpipe="", tiles=None, synced=True, times=1):
    """A program that multiplies ``[m, k]`` by ``[k, n]``, or by their transposes, on one core."""
    wide = "i32" if element == "i8" else "f32"
    shapes = {"a": (k, m) if turned[0] == "a_transpose" else (m, k), "b": (n, k) if turned[1] else (k, n)}
    kinds = {name: tile(*(tiles or shapes)[name], element) for name in shapes}
    c_kind = out_tile(m, n, wide)
    body, address = "", 0
    for number, (name, shape) in enumerate(shapes.items()):
        text, kind = tensor(f"{name}_in", f"%x{number}", shape, element)
        body += buffer(name, address, kinds[name], "cbuf") + text + fill(name, kinds[name], element)
        body += to_l1(name, f"%{name}_in", kind, kinds[name])
        body += flag("set_flag", "MTE2", "MTE1", number)
        address += math.prod(map(int, kinds[name].split("x")[:-1])) * {"f16": 2, "bf16": 2, "f32": 4, "i8": 1}[element]
    body += buffer("c", 0, c_kind, "cc")
    body += constants(init=init, m=f"{m} : index", n=f"{n} : index", k=f"{k} : index", none="-1 : i64")
    body += constants(first="0 : i64", second="1 : i64")
    words = "".join(f"{word}, " for word in turned if word)
    for number in range(times):
        synchronised = "%first, %second" if synced and not number else "%none, %none"
        body += f""""hivm.hir.mmadL1"(%a, %b, %init, %m, %k, %n, %c, {synchronised}, %none, %none, %none, %none, %none)
            <{{{words}operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1, 1, 7, 0, 0>}}>
            : (memref<{kinds["a"]}, <cbuf>>, memref<{kinds["b"]}, <cbuf>>, i1, index, index, index,
               memref<{c_kind}, <cc>>, {", ".join(["i64"] * 7)}) -> ()\n"""
    if not synced:
        body += flag("wait_flag", "MTE2", "MTE1", 0) + flag("wait_flag", "MTE2", "MTE1", 1)
    text, kind = tensor("out", "%x2", (m, n), out)
    body += flag("set_flag", "M", "FIX", 0) + flag("wait_flag", "M", "FIX", 0) + text
    body += f""""hivm.hir.fixpipe"(%c, %out) <{{dma_mode = #hivm.dma_mode<nz2nd>, {fixpipe}
        operandSegmentSizes = array<i32: 1, 1, 0, 0>}}> : (memref<{c_kind}, <cc>>, {kind}) -> ()\n""" + barrier("ALL")
    return hand_written(body, *(f"memref<?x{one}, <gm>>" for one in (element, element, out)), kind="AIC")


TYPES = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32, "i8": torch.int8, "i32": torch.int32}


def operands(m, n, k, element, turned=("", "")):
    torch.manual_seed(0)
    if element == "i8":
        a, b = torch.randint(-128, 128, (m, k)), torch.randint(-128, 128, (k, n))
    else:
        a, b = torch.randn(m, k), torch.randn(k, n)
    a, b = a.to(TYPES[element]), b.to(TYPES[element])
    return a, b, (a.T if turned[0] else a).contiguous(), (b.T if turned[1] else b).contiguous()


def run(m, n, k, element, *, turned=("", ""), out="f32", **options):
    a, b, given_a, given_b = operands(m, n, k, element, turned)
    c = torch.full((m, n), -77).to(TYPES[out])
    program = product(m, n, k, element, turned=turned, out=out, **options)
    simulation = simulate(program, [given_a, given_b, c], (1,), hazards=True)
    assert simulation.hazards == ()
    return a.double() @ b.double(), c, simulation


TURNED = [("", ""), ("a_transpose", ""), ("", "b_transpose"), ("a_transpose", "b_transpose")]


@pytest.mark.parametrize("turned", TURNED, ids=str)
@pytest.mark.parametrize("element", ["f16", "bf16", "f32", "i8"])
@pytest.mark.parametrize("m, n, k", [(64, 64, 64), (32, 96, 160), (17, 33, 40)])
def test_products(m, n, k, element, turned):
    whole = "i32" if element == "i8" else "f32"
    reference, c, _ = run(m, n, k, element, turned=turned, out=whole)
    assert torch.allclose(c.double(), reference, rtol=0, atol=0 if element == "i8" else 1e-4)


def test_a_depth_that_does_not_fit_l0_is_multiplied_in_parts_of_both_halves():
    reference, c, simulation = run(128, 128, 500, "f16")
    assert torch.allclose(c.double(), reference, atol=1e-3)
    given = [event.work.pipe for event in simulation.execution.traces[0] if isinstance(event, Issue)]
    assert given.count("M") == math.ceil(500 / 128)  # half of L0A holds 128 x 128 elements of two bytes
    assert simulation.pipes["M"] > 8 * 8 * math.ceil(500 / 16)


def test_accumulators_go_on_unless_told_to_begin():
    reference, c, _ = run(32, 32, 32, "f16", times=2)
    assert torch.allclose(c.double(), reference, atol=1e-4)
    a, b, *_ = operands(32, 32, 32, "f16")
    c = torch.zeros(32, 32)
    program = product(32, 32, 32, "f16", init="false")
    simulate(program, [a, b, c], (1,))
    assert c.isnan().all(), "L0C holds nothing before"
    assert {hazard.kind for hazard in find_hazards(program, [a, b, c], (1,))} == {"unwritten"}


@pytest.mark.parametrize("mode, out", [("F322F16", "f16"), ("F322BF16", "bf16")])
def test_the_way_out_rounds_and_cuts_off(mode, out):
    quantised = f"pre_quant = #hivm.fixpipe_pre_quant_mode<{mode}>,"
    reference, c, _ = run(32, 48, 64, "f16", out=out, fixpipe=quantised)
    exact = run(32, 48, 64, "f16")[1]
    assert torch.equal(c, exact.to(TYPES[out]))
    relu = quantised + " pre_relu = #hivm.fixpipe_pre_relu_mode<NORMAL_RELU>,"
    _, cut, _ = run(32, 48, 64, "f16", out=out, fixpipe=relu)
    assert torch.equal(cut, c.clamp(min=0)) and (reference < 0).any()


def test_a_bias_begins_the_sum():
    from tests.gallery.matmul import from_bias

    example = from_bias(32, 48, 64, torch.float16)
    example.run()
    example.check()


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(out="i8", fixpipe="pre_quant = #hivm.fixpipe_pre_quant_mode<S322I8>,"), "quantisation S322I8"),
        (dict(fixpipe="pre_relu = #hivm.fixpipe_pre_relu_mode<LEAKY_RELU>,"), "LEAKY_RELU"),
        (dict(fixpipe="channel_split = true,"), "channels apart"),
        (dict(out="f16"), "f32 to f16 by NO_QUANT"),
        (dict(turned=("enable_I4", "")), "a product of int4"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_refused_by_name(options, words):
    options = dict(element="f16") | options
    a, b, *_ = operands(32, 32, 32, options["element"])
    c = torch.zeros(32, 32, dtype=TYPES[options.get("out", "f32")])
    with pytest.raises(UnsupportedProgram, match=words):
        simulate(product(32, 32, 32, **options), [a, b, c], (1,))


def test_a_buffer_past_the_end_of_l1():
    body = buffer("a", 524288 - 1024, "4x4x16x16xf16", "cbuf")
    with pytest.raises(UnsupportedProgram, match="of L1 of 8192 bytes, past the end of L1"):
        simulate(hand_written(body, kind="AIC"), [], (1,))


def test_rows_outside_a_tensor():
    a, b, *_ = operands(32, 32, 32, "f16")
    with pytest.raises(OutOfBounds, match="nd2nz"):
        simulate(product(32, 32, 32, "f16"), [a[:-1].clone(), b, torch.zeros(32, 32)], (1,))


def test_hf32_keeps_ten_bits_of_mantissa():
    a, b, *_ = operands(32, 32, 32, "f32")
    c = torch.zeros(32, 32)
    simulate(product(32, 32, 32, "f32", turned=("enable_HF32", "")), [a, b, c], (1,))
    assert to_hf32(np.float32([1 + 2**-11, 1 + 3 * 2**-11, -1 - 2**-10, np.inf])).tolist() == [
        1.0, 1 + 2**-9, -1 - 2**-10, np.inf
    ]  # fmt: skip
    narrow = torch.from_numpy(to_hf32(a.numpy())).double() @ torch.from_numpy(to_hf32(b.numpy())).double()
    assert torch.allclose(c.double(), narrow, atol=1e-5)
    assert (c - (a @ b)).abs().max() > 1e-4


def test_a_multiplication_that_does_not_wait_for_its_loads():
    a, b, *_ = operands(32, 32, 32, "f16")
    found = find_hazards(product(32, 32, 32, "f16", synced=False), [a, b, torch.zeros(32, 32)], (1,))
    assert {hazard.kind for hazard in found} == {"race"}
    assert any("of L1" in hazard.message and "MTE1" in hazard.message for hazard in found)
