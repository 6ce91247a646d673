"""The table of the device library's routes is what the simulator charges, layout by layout, and the page shows it."""

import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("xdsl")
pytest.importorskip("ml_dtypes")
import torch

from cold_kernels.ascend import simulate
from cold_kernels.ascend.chips import CONSTANTS
from cold_kernels.ascend.simulator import routes
from cold_kernels.ascend.simulator.routes import ROUTES
from cold_kernels.ascend.simulator.trace import fallbacks
from cold_kernels.ascend.simulator.trace.vector_costs import elementwise_work
from tests.ascend.simulator.layouts import dense
from tests.ascend.simulator.programs import buffer, hand_written, tensor

ROOT = Path(__file__).parents[3]
COMMAND = "python -m cold_kernels.ascend.simulator.routes"
NAMES = [f"{route.operation}: {route.operands}" for route in ROUTES]


@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
def test_the_table_is_what_is_charged(route):
    job = routes.priced(route)
    assert (dict(job.counts), job.fallback) == (route.counts, route.fallback)
    assert set(route.counts) <= {*CONSTANTS, "local_byte"}


def kind_of(job, rows):
    """The route that counts speak of, by other words than the table's."""
    counts = Counter(dict(job.counts))
    repeats = sum(count for name, count in counts.items() if name.startswith("repeat_"))
    if job.fallback:
        return routes.PARTLY if counts["vector_issue"] else routes.SCALAR
    if counts["flag"] > 1:
        return routes.TRIPS if rows > 1 and counts["flag"] >= 2 * rows else routes.TRIP
    if counts["vector_issue"] >= rows > 1 and counts["vector_drain"] in (0, rows):
        return routes.EACH
    if counts["vector_drain"] and counts["repeat_unary"] % rows == rows / 8 and not counts["flag"]:
        return routes.BLOCKS  # vbrcb takes 8 rows a repeat
    if counts["vector_drain"] or counts["flag"] or counts["vector_issue"] * 255 * 2 < repeats:
        return routes.STEPS
    return routes.REPEATS if rows > 1 and repeats >= rows else routes.ONE


@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
def test_the_route_is_told_by_the_counts(route):
    rows = max(math.prod(one.shape[:-1]) for one in routes.operands(route.operands))
    if route.operation == "vbrc of a number" and "i64" in route.operands:
        assert route.route == routes.STEPS  # one half of each element after the other
        return
    assert kind_of(routes.priced(route), rows) == route.route


def test_every_word_of_the_table_is_explained_and_used():
    assert {route.route for route in ROUTES} == set(routes.MEANINGS)
    assert {route.fallback for route in ROUTES} == {"", *fallbacks.REASONS}
    assert {route.operation for route in ROUTES} == set(routes.PRICES)


def test_the_page_shows_the_table():
    page = (ROOT / "docs" / "simulator.md").read_text()
    block = page.partition(f"<!-- {COMMAND} -->\n")[2].partition("<!-- end -->")[0]
    assert block.strip() == routes.markdown()


def test_the_command_prints_the_table():
    words = [sys.executable, *COMMAND.split()[1:]]
    printed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == routes.markdown()


@pytest.mark.parametrize(
    "rows, columns, blocks, tile",
    [
        (16, 512, {"vector_issue": 1, "repeat_unary": 2, "vector_drain": 1}, {"vector_issue": 8, "repeat_binary": 128}),
        (
            64,
            8,
            {"vector_issue": 1, "repeat_unary": 8, "vector_drain": 1},
            {"vector_issue": 1, "repeat_binary": 64, "short_row": 64},
        ),
        (
            2048,
            64,
            {"vector_issue": 2, "repeat_unary": 256, "vector_drain": 1},
            {"vector_issue": 9, "repeat_binary": 2048},
        ),
    ],
)
def test_a_row_operand_becomes_blocks_and_is_then_read_again_and_again(rows, columns, blocks, tile):
    job = elementwise_work((dense(rows, columns), dense(rows, 1), dense(rows, columns)), "repeat_binary")
    assert dict(job.counts) == {name: blocks.get(name, 0) + tile.get(name, 0) for name in {*blocks, *tile}}
    assert not job.fallback and not job.blocks


def multiplied(rows, columns, pitch):
    """A compiled product of a tile and a column whose elements are ``pitch`` apart, on hand-written HIVM."""
    names = (("x", 0, rows, columns), ("r", 65536, rows, 1), ("y", 98304, rows, columns))
    body, loads = "", ""
    for place, (name, address, height, width) in enumerate(names):
        apart = pitch if name == "r" else width
        kind = f"{height}x{width}xf32, strided<[{apart}, 1]>"
        body += buffer(name, address, kind)
        text, memory = tensor(f"{name}_gm", f"%x{place}", (height, width), "f32")
        body += text
        move = (f"%{name}", f"%{name}_gm") if name == "y" else (f"%{name}_gm", f"%{name}")
        kinds = (f"memref<{kind}, <ub>>", memory) if name == "y" else (memory, f"memref<{kind}, <ub>>")
        operation = "store" if name == "y" else "load"
        segments = "" if name == "y" else "<{operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0>}>"
        line = f'"hivm.hir.{operation}"({", ".join(move)}) {segments} : ({", ".join(kinds)}) -> ()\n'
        loads, body = (loads, body) if name == "y" else (loads + line, body)
        last = line
    wait = '"hivm.hir.pipe_barrier"() <{pipe = #hivm.pipe<PIPE_ALL>}> : () -> ()\n'
    tile, column = (f"memref<{rows}x{n}xf32, strided<[{p}, 1]>, <ub>>" for n, p in ((columns, columns), (1, pitch)))
    product = f"""
    "hivm.hir.vmul"(%x, %r, %y) <{{broadcast = array<i64: 1>, operandSegmentSizes = array<i32: 2, 1, 0>,
        transpose = array<i64>}}> : ({tile}, {column}, {tile}) -> ()
    """
    program = hand_written(body + loads + wait + product + wait + last, *(["memref<?xf32, <gm>>"] * 3))
    x, r, y = torch.randn(rows, columns), torch.randn(rows, 1), torch.zeros(rows, columns)
    run = simulate(program, [x, r, y], (1,))
    assert torch.equal(y, x * r)
    return run


def test_a_program_with_a_row_operand_leaves_the_scalar_unit_alone():
    run = multiplied(64, 128, 8)
    per_row = run.chip.constants["scalar_local"] + 2 * run.chip.constants["flag"]
    assert run.pipes["S"] == pytest.approx(64 * per_row, rel=0.5)  # a round trip a row, not one an element
