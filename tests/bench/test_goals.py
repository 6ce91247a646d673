"""What the goals say of cells, on figures made by hand; the cells of the grids."""

import pytest

from bench.layers import cases as layer_cases
from bench.layers import choice_cases
from bench.layers.cases import LayerCase
from bench.layers.choice_cases import ChoiceCase
from bench.layers.goals import ASKED, OURS, PARTS, best_peer, enqueued_ratio, goals, ratios, sure
from bench.layers.projections import MODELS, Batch

CELL = LayerCase("Ascend910B3", "Llama-2-7B", 16, Batch(4))
MANY = LayerCase("Ascend910B3", "Llama-2-7B", 16, Batch(64))
PROMPT = LayerCase("Ascend910B3", "Llama-2-7B", 16, Batch(2048, "prompt"))
SHARED = LayerCase("Ascend910B3", "Llama-2-7B", 16, Batch(64, "equal"))
CHOICE = ChoiceCase("Ascend910B3", 32000, 8)
PEER = "the best peer's scheme in LoRA of a layer"
DISTINCT, SHARING = "decode, distinct adapters", "decode, equal or Zipf adapters"
FEWER = f"at least 2 times as fast as {PEER} in the median cell, {DISTINCT}"
NEVER = f"never slower than {PEER}, {DISTINCT}"
FLOOR = "LoRA of a layer at most 1.5 times launches' floors and minimal bytes"
DECODE_FLOOR = f"{FLOOR} in nine cells of ten, {DISTINCT}, 1 to 64 rows, rank 16 and more"
SHARED_FLOOR = DECODE_FLOOR.replace(DISTINCT, SHARING)
PROMPT_FLOOR = f"{FLOOR}, prompts of 2048 tokens"
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
    judged = met({CELL: found(), SHARED: found(), PROMPT: found()}, {CHOICE: choice()})
    assert all(judged[goal] for goal in (NEVER, FEWER, DECODE_FLOOR, SHARED_FLOOR, PROMPT_FLOOR, CHOICE_FLOOR))
    assert judged["no scalar round trip"] and False not in judged.values()


def test_goals_that_are_not_met():
    assert not met({CELL: found(peer=9.0)})[NEVER]
    assert met({CELL: found(odd=3)})[NEVER] and not met({CELL: found(odd=4)})[NEVER]
    assert met({CELL: found(peer=19.0)})[NEVER] and not met({CELL: found(peer=19.0)})[FEWER]
    assert not met({CELL: found(odd=4, slow=13.0)})[FEWER]
    assert not met({MANY: found(ours=13.0)})[DECODE_FLOOR]
    assert not met({MANY: found(odd=4)})[DECODE_FLOOR]
    assert not met({PROMPT: found(ours=13.0)})[PROMPT_FLOOR]
    assert not met({}, {CHOICE: choice(us=13.0)})[CHOICE_FLOOR]
    assert not met({}, {CHOICE: choice(odd=4)})[CHOICE_FLOOR]
    text = said({}, {CHOICE: choice(us=13.0)})[CHOICE_FLOOR].found
    assert "worst 2.17 on the nominal chip" in text and "(Ascend910B3 choice of 8 rows of 32000 fp16)" in text


def test_the_median_cell_counts_and_not_the_worst():
    cells = [LayerCase("Ascend910B3", "Llama-2-7B", rank, Batch(4)) for rank in (8, 16, 64)]
    slow, *fast = (found(peer=11.0), found(peer=21.0), found(peer=22.0))
    judged = met(dict(zip(cells, (slow, *fast), strict=True)))
    assert judged[FEWER] and judged[NEVER]


def test_kinds_of_cells_are_judged_apart():
    judged = met({CELL: found(), SHARED: found(peer=9.0), PROMPT: found(peer=9.0)})
    assert (
        judged[NEVER]
        and not judged[NEVER.replace(DISTINCT, SHARING)]
        and not judged[NEVER.replace(DISTINCT, "prompts")]
    )
    alone = met({CELL: found()})
    assert alone[NEVER.replace(DISTINCT, SHARING)] is None and alone[PROMPT_FLOOR] is None
    assert alone[CHOICE_FLOOR] is None and alone[SHARED_FLOOR] is None


def test_nine_cells_of_ten_keep_to_the_floor():
    """Of 1 to 64 rows and rank 16 and more."""
    cells = [LayerCase("Ascend910B3", model, 16, Batch(rows)) for model in MODELS for rows in (1, 4)]
    slow = {cell: found(ours=13.0) for cell in cells[:2]}
    cells = {cell: found() for cell in cells}
    assert len(cells) == 10 and met(cells)[DECODE_FLOOR]
    assert met({**cells, next(iter(slow)): found(ours=13.0)})[DECODE_FLOOR] and not met({**cells, **slow})[DECODE_FLOOR]
    outside = [
        LayerCase("Ascend910B3", "Llama-2-7B", 8, Batch(4)),
        LayerCase("Ascend910B3", "Llama-2-7B", 16, Batch(256)),
    ]
    assert met({**cells, **{cell: found(ours=13.0) for cell in outside}})[DECODE_FLOOR]


def test_the_cube_that_is_asked_for_is_reported_and_not_judged():
    """It is ours and no peer's, whatever it takes."""
    made = found(ours=30.0)
    made[ASKED] = found(ours=5.0, least=5.0)[OURS]
    assert best_peer(made) == "a peer" and ratios(made)[0] == pytest.approx(2 / 3)
    judged = said({PROMPT: made})
    assert not judged[NEVER.replace(DISTINCT, "prompts")].met
    (reported,) = [goal for goal in judged.values() if "cube asked for" in goal.goal and "peer" in goal.goal]
    assert reported.met is None and "median 4.00x" in reported.found
    (floor,) = [goal for goal in judged.values() if "cube asked for" in goal.goal and "floors" in goal.goal]
    assert floor.met is None and "worst 1.00" in floor.found


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
    with pytest.raises(ValueError, match="distinct, equal, zipf, prompt"):
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


def test_prompts_are_beside_the_grid():
    cells = layer_cases.prefill()
    assert len(set(cells)) == len(cells) == 3 * 2 * 2 * 2 and not set(cells) & set(layer_cases.grid())
    assert {cell.batch.rows for cell in cells} == {256, 2048} and all(set(cell.batch.slots) == {0} for cell in cells)
    assert all(LayerCase.of(cell.words) == cell for cell in cells)


def test_the_grid_of_choices():
    cells = choice_cases.grid()
    assert len(set(cells)) == len(cells) == 3 * 4 * 7 * 2
    assert {cell.vocabulary for cell in cells} == {32000, 49152, 128256, 151936}
    assert {cell.rows for cell in cells} >= {1, 64}
