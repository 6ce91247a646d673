"""Decode steps put together from known layers, on figures made by hand."""

import json
from types import SimpleNamespace

import pytest

pytest.importorskip("triton")
pytest.importorskip("xdsl")
from bench.__main__ import main
from bench.layers import steps
from bench.layers.goals import OURS, PARTS
from bench.layers.projections import MODELS, Batch
from bench.layers.step_model import BASE, CHOICE, EAGER, GREEDY, KV, LORA, OPTIMISTIC, Contest, held_bytes, kv_bytes
from cold_kernels.ascend.chips import chip_named

LLAMA = MODELS["Llama-2-7B"]
BANDWIDTH = chip_named("Ascend910B3").hbm_bytes_per_second
SCHEMES = {
    "a peer": {"launches": [[["triton", 100.0 / 6]] * 3] * 4},
    OURS: {"launches": [[["triton", 12.5]]] * 4},
    PARTS: [],
}
"""200 us in 12 launches a layer, and 50 in 4."""
PAID = {"triton": 20.0, "torch": 10.0}


@pytest.fixture
def known(monkeypatch):
    """Layers whose LoRA takes as long however many rows there are, and a choice of 30 us."""
    asked = []

    def found(cells, progress):
        asked.extend(cells)
        return dict.fromkeys(cells, SCHEMES)

    def choices(cells, progress):
        return dict.fromkeys(cells, {"launches": [["triton", 30.0]]})

    monkeypatch.setattr(steps, "LAYERS", SimpleNamespace(known=found, latest=dict))
    monkeypatch.setattr(steps, "CHOICES", SimpleNamespace(known=choices, latest=dict))
    return asked


def test_rows_of_a_step(known):
    steps.steps([LLAMA], [16], [4], "equal", [512], Contest(), steps.counted)
    greedy, eager = (cell.batch for cell in known)
    assert greedy.slots == (0, 0, 0, 0) and eager.slots == (0, 0, 0, 0, -1, -1, -1, -1)
    assert {cell.chip for cell in known} == {"Ascend910B3"}


def test_what_a_step_takes(known):
    each = steps.steps([LLAMA], [16], [4], "distinct", [512], Contest(0.25, 0.125), steps.counted)[
        LLAMA.name, 16, 4, 512
    ]
    base = LLAMA.base_bytes / BANDWIDTH * 1e6
    kv = 4 * 2 * 32 * 4096 * 512 * 2 / BANDWIDTH * 1e6
    greedy, eager = base + kv + 32 * 200, base + 2 * kv + 32 * 50 + 30
    assert each[GREEDY, "a peer"].device_us == pytest.approx(greedy)
    assert each[EAGER, OURS].device_us == pytest.approx(eager)
    assert each[OPTIMISTIC, OURS].device_us == pytest.approx(1.125 * (eager - kv) + kv / 4)
    assert steps.change(each, "a peer", "device time") == pytest.approx(eager / greedy - 1)
    assert (each[EAGER, OURS].launches(LORA), each[EAGER, OURS].launches(CHOICE)) == (4 * 32, 1)
    assert [each[EAGER, OURS].part_us(part) for part in (BASE, LORA, KV, CHOICE)] == pytest.approx(
        [base, 32 * 50, kv, 30]
    )


def test_a_step_with_host_enqueue(known):
    each = steps.steps([LLAMA], [16], [4], "distinct", [512], Contest(0.25, 0.125), steps.counted)[
        LLAMA.name, 16, 4, 512
    ]
    free = dict.fromkeys(PAID, 0.0)
    assert all(found.enqueued_us(free) == pytest.approx(found.device_us) for found in each.values())
    ours = each[EAGER, OURS]
    # The device is the slower one: it waits for the first operator alone.
    assert ours.enqueued_us(PAID) == pytest.approx(ours.device_us + PAID["torch"])
    # The host is: 4 products and attention, LoRA, output embedding and choice; then the choice runs.
    dear = {launcher: 100 * paid for launcher, paid in PAID.items()}
    host = 32 * (5 * dear["torch"] + 4 * dear["triton"]) + dear["torch"] + dear["triton"]
    assert ours.enqueued_us(dear) == pytest.approx(host + 30)
    peer, greedy = each[GREEDY, "a peer"], each[GREEDY, OURS]
    assert peer.enqueued_us(dear) - greedy.enqueued_us(dear) == pytest.approx(32 * 8 * dear["triton"])
    assert each[OPTIMISTIC, OURS].enqueued_us(dear) == pytest.approx(1.125 * (host + 30))


def test_an_amateur_is_read_once_a_chunk(known):
    """By bytes alone, 16 requests of 2048 tokens: twice the reads for eager, and 0.15 of them for optimistic."""

    def ratio(kind, contest):
        each = steps.steps([LLAMA], [16], [16], "distinct", [2048], contest, steps.counted)[LLAMA.name, 16, 16, 2048]
        of_bytes = [
            each[k, OURS].part_us(BASE) + each[k, OURS].part_us(KV) + each[k, OURS].amateur_kv_us
            for k in (kind, GREEDY)
        ]
        return of_bytes[0] / of_bytes[1]

    reads = 16 * kv_bytes(LLAMA, 2048) / (LLAMA.base_bytes + 16 * kv_bytes(LLAMA, 2048))
    assert reads == pytest.approx(0.565, abs=1e-3)
    assert ratio(EAGER, Contest()) == pytest.approx(1 + reads)
    assert ratio(OPTIMISTIC, Contest()) == pytest.approx(1 + 0.15 * reads)
    assert ratio(OPTIMISTIC, Contest(1.0, 0.0)) == pytest.approx(ratio(EAGER, Contest()))
    assert ratio(OPTIMISTIC, Contest(0.0, 0.0)) == 1


def test_all_contested_is_eager(known):
    each = steps.steps([LLAMA], [16], [2], "distinct", [512, 8192], Contest(1.0, 0.0), steps.counted)
    assert all(found[EAGER, OURS] == found[OPTIMISTIC, OURS] for found in each.values())


def test_what_a_card_holds(known):
    """The bytes that `python -m bench memory` counts, and that table's largest batch of 64 requests."""
    pytest.importorskip("transformers")
    from bench.layers import held_tensors

    counted = held_tensors.StepShape(held_tensors.built(*held_tensors.MODELS[LLAMA.name]), 64, 512)
    parts = held_tensors.held("cold-kernels", counted, 4)
    ours = held_bytes(EAGER, LLAMA, 64, Batch(8, "distinct", half=True), 512)
    small = 2 * 4096 * (2 * 32 + 1)  # the norms
    assert ours + small == sum(parts[name] for name in ("weights", "KV caches", "adapters"))
    found = steps.steps([LLAMA], [64], [32, 64], "distinct", [512, 2048], Contest(), steps.counted)
    fits = [(count, context) for (_, _, count, context), each in found.items() if each[EAGER, OURS].fits]
    assert fits == [(32, 512), (64, 512)]
    assert found[LLAMA.name, 64, 64, 512][GREEDY, OURS].held < found[LLAMA.name, 64, 64, 512][EAGER, OURS].held


def test_the_command(known, capsys, tmp_path):
    picture = tmp_path / "steps.png"
    assert main(["step", "--requests", "1", "--requests", "8", "--rank", "64", "--picture", str(picture)]) == 0
    said = capsys.readouterr().out
    assert "Device time" in said and "With host enqueue" in said and "device time / with host enqueue" in said
    assert "MODELLED" in said and "nothing was measured on an NPU" in said and "Qwen2.5-7B, rank 64" in said
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(["step", "--model", "Qwen2.5-7B", "--requests", "2", "--rank", "16", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["evidence"].startswith("modelled") and len(found["steps"]) == 3 * 3 * 2
    assert found["contest"] == {"contested": 0.15, "taken_back": 0.02} and found["steps"][-1]["choice_launches"] == 1
    assert found["host_enqueue_us"]["nominal"] == {"triton": 23.7, "torch": 12.1} and "eager mode" in found["clocks"]
    first = found["steps"][0]
    low, nominal, high = (first["with_host_enqueue_us"][end] for end in ("low", "nominal", "high"))
    assert first["device_us"] < low <= nominal <= high and first["launches"] == 12 * 28


def test_the_tables_for_a_page_come_from_disk(known, capsys, monkeypatch):
    words = ["step", "--markdown", "--model", "Llama-2-7B", "--requests", "1", "--requests", "64", "--context", "8192"]
    assert main(words) == 1
    assert "1 rows, distinct is not known yet; the same command without --markdown counts it" in capsys.readouterr().err
    monkeypatch.setattr(steps, "LAYERS", SimpleNamespace(latest=lambda: Everything(SCHEMES)))
    monkeypatch.setattr(steps, "CHOICES", SimpleNamespace(latest=lambda: Everything({"launches": [["triton", 30.0]]})))
    assert main(words) == 0 and not known
    said = capsys.readouterr().out
    assert "nothing was measured on an NPU" in said and "With host enqueue" in said
    device, host = said.split("*with host enqueue*", 1)
    assert "| tokens | Llama-2-7B: 1 | Llama-2-7B: 64 |" in device and "\\* |" in device
    rows = [line for line in host.splitlines() if line.startswith("| CoLD optimistic, a peer")]
    assert len(rows) == 1 and rows[0].count("%") == 2 * 2
    assert "latency of CoLD" in host and host.count(OURS) == 2


class Everything(dict):
    """Of every cell the same was found."""

    def __init__(self, value):
        self.value = value

    def __contains__(self, key):
        return True

    def __getitem__(self, key):
        return self.value


def test_bad_input(known, capsys):
    assert main(["step", "--picture", "steps.jpg"]) == 2
    assert "steps.jpg: the name must end in .png" in capsys.readouterr().err
    assert main(["step", "--picture", "no/such/steps.png"]) == 2
    assert "there is no folder no/such" in capsys.readouterr().err
    assert main(["step", "--context", "512", "--context", "0"]) == 2
    assert "--context 0: must be 1 or more tokens" in capsys.readouterr().err
    assert main(["step", "--contested", "15"]) == 2
    assert "contested 15.0: it must be a share, from 0 to 1" in capsys.readouterr().err
    assert main(["step", "--taken-back", "0.2"]) == 2
    assert "taken back 0.2: it must be from 0 to 0.15" in capsys.readouterr().err
    assert not known
