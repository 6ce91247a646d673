"""What the goals say of cells, on figures made by hand; the cells of the grids."""

import pytest

from bench.layers import cases as layer_cases
from bench.layers import choice_cases
from bench.layers.cases import LayerCase
from bench.layers.choice_cases import ChoiceCase
from bench.layers.goals import OURS, PARTS, best_peer, enqueued_ratio, goals, ratios, sure
from bench.layers.projections import MODELS, Batch

CELL = LayerCase("Ascend910B3", "Llama-2-7B", 16, Batch(4))
MANY = LayerCase("Ascend910B3", "Llama-2-7B", 16, Batch(64))
SHARED = LayerCase("Ascend910B3", "Llama-2-7B", 16, Batch(64, "equal"))
CHOICE = ChoiceCase("Ascend910B3", 32000, 8)
FEWER = "at least 1.6 times as fast as the best peer's scheme in LoRA of a layer in the median cell, 1 to 16 rows"
NEVER = "never slower than the best peer's scheme in LoRA of a layer, 1 to 16 rows"
MANY_FLOOR = "LoRA of a layer at most 1.5 times launches' floors and minimal bytes, 16 rows and more, distinct adapters"
CHOICE_FLOOR = "contrastive choice at most 2 times launches' floors and minimal bytes"


def on_chips(nominal, plausible, odd=0, other=0.0):
    """Of the nominal chip and 32 plausible ones, of which the last ``odd`` have another value."""
    return [nominal, *[plausible] * (32 - odd), *[other] * odd]


def found(ours=10.0, peer=20.0, least=8.0, launches=1, moved=105, odd=0, slow=30.0):
    """A layer of four projections; ours takes ``slow`` on so many odd chips."""
    part = {
        "bytes moved": moved, "minimal bytes": 100, "fetched": 100, "round trips": 0,
        "drains": {"operation": 3, "full barrier": 0, "no free buffer": 0},
    }  # fmt: skip
    return {
        "a peer": {"device_us": on_chips(peer, peer), "launches": [[["triton", peer / 12]] * 3] * 4},
        "another": {"device_us": on_chips(99.0, 99.0), "launches": [[["torch", 99.0 / 4]]] * 4},
        OURS: {
            "device_us": on_chips(ours, ours, odd, slow), "launches": [[["triton", ours / 4]] * launches] * 4,
            "least_us": on_chips(least, least),
        },
        PARTS: [part],
    }  # fmt: skip


def choice(us=10.0, least=6.0, odd=0, slow=30.0):
    return {"device_us": on_chips(us, us, odd, slow), "least_us": on_chips(least, least), "launches": [["triton", us]]}


def said(layers, choices=()):
    return {goal.goal: goal for goal in goals(layers, dict(choices))}


def met(layers, choices=()):
    return {goal: each.met for goal, each in said(layers, choices).items()}


def test_times_beside_the_peers_on_both_clocks():
    assert best_peer(found()) == "a peer" and ratios(found()) == on_chips(2.0, 2.0)
    assert ratios(found(odd=2, slow=40.0)) == on_chips(2.0, 2.0, 2, 0.5)
    paid = {"triton": 20.0, "torch": 10.0}
    ours = 4 * 20 + 2.5
    assert enqueued_ratio(found(), paid) == pytest.approx((10 + 99) / ours)  # few operators enqueue sooner than 12
    assert enqueued_ratio(found(), dict.fromkeys(paid, 0.0)) == pytest.approx(2.0)


def test_29_of_32_chips_must_agree():
    assert sure(on_chips(2.0, 3.0, 3, 0.5), more=True) == 2.0 and sure(on_chips(2.0, 1.8, 3, 0.5), more=True) == 1.8
    assert sure(on_chips(2.0, 3.0, 4, 0.5), more=True) == 0.5
    assert sure(on_chips(2.0, 1.0, 3, 9.0), more=False) == 2.0 and sure(on_chips(2.0, 1.0, 4, 9.0), more=False) == 9.0
    assert sure([1.5], more=True) == 1.5


def test_goals_that_are_met():
    judged = met({CELL: found(), MANY: found(), SHARED: found(least=1.0)}, {CHOICE: choice()})
    assert all(judged[goal] for goal in (NEVER, FEWER, MANY_FLOOR, CHOICE_FLOOR, "no scalar round trip"))
    assert False not in judged.values()
    shared = "LoRA of a layer over launches' floors and minimal bytes, 16 rows and more that share adapters"
    assert judged[shared] is None and "worst 10.00" in said({SHARED: found(least=1.0)})[shared].found


def test_goals_that_are_not_met():
    assert not met({CELL: found(peer=9.0)})[NEVER]
    assert met({CELL: found(odd=3)})[NEVER] and not met({CELL: found(odd=4)})[NEVER]
    assert met({CELL: found(peer=15.0)})[NEVER] and not met({CELL: found(peer=15.0)})[FEWER]
    assert not met({CELL: found(odd=4, slow=13.0)})[FEWER]
    assert not met({MANY: found(ours=13.0)})[MANY_FLOOR]
    assert not met({MANY: found(odd=4)})[MANY_FLOOR]
    assert not met({}, {CHOICE: choice(us=13.0)})[CHOICE_FLOOR]
    assert not met({}, {CHOICE: choice(odd=4)})[CHOICE_FLOOR]
    text = said({}, {CHOICE: choice(us=13.0)})[CHOICE_FLOOR].found
    assert "worst 2.17 on the nominal chip" in text and "(Ascend910B3 choice of 8 rows of 32000 fp16)" in text


def test_the_median_cell_counts_and_not_the_worst():
    cells = [LayerCase("Ascend910B3", "Llama-2-7B", rank, Batch(4)) for rank in (8, 16, 64)]
    slow, *fast = (found(peer=11.0), found(peer=17.0), found(peer=18.0))
    judged = met(dict(zip(cells, (slow, *fast), strict=True)))
    assert judged[FEWER] and judged[NEVER]


def test_goals_without_a_cell_are_not_met():
    assert met({CELL: found()})[MANY_FLOOR] is None and met({CELL: found()})[CHOICE_FLOOR] is None
    many = met({MANY: found(peer=1.0)})
    assert many[NEVER] is None and many[FEWER] is None
    more = "time of the best peer's scheme in LoRA of a layer over ours, more than 16 rows"
    assert many[more] is None and "worst 0.10x" in said({MANY: found(peer=1.0)})[more].found


def test_launches_of_a_layer():
    goal = "4 launches a layer, or up to 8 where a group's table says so"
    assert met({CELL: found()})[goal] and met({CELL: found(launches=2)})[goal]
    assert "at most 8; more than 4 in 1 of 2 cells" == said({CELL: found(launches=2), MANY: found()})[goal].found
    assert not met({CELL: found(launches=3)})[goal]


def test_batches():
    assert Batch(5, half=True).slots == (0, 1, 2, -1, -1) and Batch(3, "equal").slots == (0, 0, 0)
    drawn = Batch(64, "zipf").slots
    assert max(drawn) + 1 == len(set(drawn)) < 40 and drawn == Batch(64, "zipf").slots
    with pytest.raises(ValueError, match="rows must be 1 or more"):
        Batch(0)
    with pytest.raises(ValueError, match="distinct, equal, zipf"):
        Batch(1, "some")


def test_models_have_their_sizes():
    parameters = {"Llama-2-7B": 6.74e9, "Llama-2-13B": 13.02e9, "Llama-3-8B": 8.03e9, "Qwen2.5-7B": 7.62e9}
    for name, count in parameters.items():
        model = MODELS[name]
        embeddings = model.hidden * model.vocabulary
        assert model.base_bytes / 2 + (0 if model.tied else embeddings) == pytest.approx(count, rel=2e-3)
    q, k, v = MODELS["Llama-3-8B"].projections[0].widths
    assert (q, k, v) == (4096, 1024, 1024) and MODELS["Llama-3-8B"].projections[0].starts == (0, 4096, 5120)


def test_a_larger_sample_goes_on_from_a_smaller_one():
    everything = layer_cases.grid()
    assert len(everything) == len(set(everything)) == 3 * 5 * 4 * 2 * (1 + 4 * 6)
    some, more = layer_cases.sample(30), layer_cases.sample(60)
    assert more[:30] == some and len(set(more)) == 60
    assert layer_cases.sample(30, seed=1) != some


def test_the_grid_of_choices():
    cells = choice_cases.grid()
    assert len(set(cells)) == len(cells) == 3 * 4 * 7 * 2
    assert {cell.vocabulary for cell in cells} == {32000, 49152, 128256, 151936}
    assert {cell.rows for cell in cells} >= {1, 64}
