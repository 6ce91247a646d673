"""The LoRA backend of SGLang on batches made by hand, beside float64; SGLang itself is not run."""

import sys
from types import SimpleNamespace

import pytest
import torch

from .standin import MOST, Pool, batch, by_token, install

SLOTS = 4  # slot 0 is the base model's
HIDDEN = 40
QKV, GATE_UP, ONE = (48, 16, 16), (24, 24), (32,)


@pytest.fixture
def make(monkeypatch):
    install(monkeypatch)
    from cold_kernels.integrations.sglang.backend import ColdLoRABackend

    return lambda: ColdLoRABackend(max_loras_per_batch=SLOTS, device=torch.device("cpu"), server_args=None)


def loaded(widths, kinds=((8, 2.0), (5, 0.5), (MOST, 1.0)), **options):
    pool = Pool(SLOTS, HIDDEN, widths, **options)
    for slot, (rank, scaling) in enumerate(kinds, start=1):
        pool.load(slot, rank, scaling)
    return pool


def prepared(backend, pool, slots, lengths, graph=False, pruned=None):
    backend.prepare_lora_batch(batch(lengths, pruned), slots, pool.ranks(), pool.scalings(), graph)
    return by_token(slots, lengths)


def through(backend, pool, x, base, **options):
    out = backend.forward_with_base(None, x, base.clone, pool.a, pool.b, pool.starts, tuple(pool.offsets), **options)
    return out


def close(mine, wanted, tolerance=1e-5):
    torch.testing.assert_close(mine.double(), wanted, rtol=tolerance, atol=tolerance * wanted.abs().max().item())


@pytest.mark.parametrize("widths", [ONE, GATE_UP, QKV, (8, 24, 8, 40)])
@pytest.mark.parametrize("lengths", [(1, 1, 1, 1, 1, 1), (3, 1, 4, 2, 1, 5)])
def test_adapters_of_several_ranks_and_scalings_share_a_batch(make, widths, lengths):
    backend, pool = make(), loaded(widths)
    slots = prepared(backend, pool, [2, 0, 1, 3, 2, 1], lengths)
    x, base = torch.randn(len(slots), HIDDEN), torch.randn(len(slots), sum(widths) + 3)[:, : sum(widths)]
    close(through(backend, pool, x, base), base.double() + pool.reference(x, slots))


def test_rows_of_the_base_model_keep_every_bit(make):
    backend, pool = make(), loaded(QKV)
    slots = prepared(backend, pool, [0, 1, 0], [2, 1, 1])
    x, base = torch.randn(4, HIDDEN), torch.randn(4, sum(QKV))
    out = through(backend, pool, x, base)
    assert torch.equal(out[[0, 1, 3]], base[[0, 1, 3]]) and not torch.equal(out[2], base[2])
    assert slots == [0, 0, 1, 0]
    prepared(backend, pool, [0, 0, 0], [2, 1, 1])
    assert torch.equal(through(backend, pool, x, base), base)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(make, dtype):
    backend, pool = make(), loaded(QKV, dtype=dtype)
    slots = prepared(backend, pool, [3, 1, 2], [1, 1, 1])
    x, base = torch.randn(3, HIDDEN).to(dtype), torch.randn(3, sum(QKV)).to(dtype)
    wanted = base.double() + pool.reference(x, slots)
    close(through(backend, pool, x, base), wanted, torch.finfo(dtype).eps)


def test_a_layer_of_an_output_that_is_wider_than_its_lora(make):
    backend, pool = make(), loaded(GATE_UP)
    slots = prepared(backend, pool, [1, 2], [1, 2])
    x, base = torch.randn(3, HIDDEN), torch.randn(3, sum(GATE_UP) + 11)
    wanted = base.double()
    wanted[:, : sum(GATE_UP)] += pool.reference(x, slots)
    close(through(backend, pool, x, base), wanted)


def test_the_calls_of_layers_that_do_not_fuse(make):
    backend = make()
    for widths, call in ((QKV, "run_qkv_lora"), (GATE_UP, "run_gate_up_lora")):
        pool = loaded(widths)
        slots = prepared(backend, pool, [1, 0, 3], [1, 2, 1])
        x, base = torch.randn(4, HIDDEN), torch.randn(4, sum(widths))
        a, b = ("qkv_lora_a", "qkv_lora_b") if "qkv" in call else ("gate_up_lora_a", "gate_up_lora_b")
        given = {"x": x, a: pool.a, b: pool.b, "output_offset": pool.starts, "output_offset_cpu": pool.starts}
        if "qkv" in call:
            given |= dict(max_qkv_out_dim=max(widths), n_slices=3)
        alone = getattr(backend, call)(**given)
        close(alone, pool.reference(x, slots))
        close(getattr(backend, call)(**given, base_output=base.clone()), base.double() + pool.reference(x, slots))
    pool = loaded(ONE, rubbish=7.0)
    x, base = torch.randn(4, HIDDEN), torch.randn(4, *ONE)
    slots = prepared(backend, pool, [1, 0, 3], [1, 2, 1])
    low = backend.run_lora_a_sgemm(x, pool.a)
    assert low.dtype == torch.float32 and not low[1:3].any() and not low[0, 8:].any()
    options = dict(output_offset=pool.starts, output_offset_cpu=pool.starts)
    close(backend.run_lora_b_sgemm(x=low, weights=pool.b, **options), pool.reference(x, slots))
    added = backend.run_lora_b_sgemm(x=low, weights=pool.b, base_output=base.clone(), **options)
    close(added, base.double() + pool.reference(x, slots))


def test_shares_of_an_input_are_reduced_once(make):
    """Row-parallel layers of two ranks: A by columns, B whole; the sum of both outputs is that of the whole layer."""
    whole = loaded(ONE)
    x, base, outputs = torch.randn(3, HIDDEN), torch.randn(3, *ONE), []
    for columns in (slice(0, 16), slice(16, HIDDEN)):
        backend, share = make(), loaded(ONE)
        share.a = whole.a[..., columns]
        slots = prepared(backend, share, [1, 0, 2], [1, 1, 1])
        all_reduce = lambda output: (outputs.append(output), output)[1]  # noqa: E731
        through(backend, share, x[:, columns], base / 2, all_reduce=all_reduce)
    close(sum(outputs), base.double() + whole.reference(x, slots))


def test_the_head_has_the_rows_that_are_left_of_a_prompt(make):
    backend, pool = make(), loaded(ONE)
    backend.chunk = 2
    prepared(backend, pool, [1, 0, 2], [4, 3, 5], pruned=[1, 1, 2])
    x, base = torch.randn(4, HIDDEN), torch.randn(4, *ONE)
    rows = [1, 0, 2, 2]
    head = backend.lm_head_batch_info
    assert head.expected_tokens == 4
    close(through(backend, pool, x, base, pruned_batch_info=head), base.double() + pool.reference(x, rows))
    for place, info in enumerate(backend.lm_head_pass_batch_infos):
        part = slice(2 * place, 2 * place + 2)
        wanted = base[part].double() + pool.reference(x[part], rows[part])
        close(through(backend, pool, x[part], base[part], pruned_batch_info=info), wanted)
    prepared(backend, pool, [1, 0, 2], [1, 1, 1])
    assert backend.lm_head_batch_info is None and backend.lm_head_pass_batch_infos is None


@pytest.mark.parametrize("graph", [False, True])
def test_the_embedding_looks_tokens_up_in_a(make, graph):
    backend, vocabulary, width = make(), 50, 12
    pool = Pool(SLOTS, vocabulary, (width,), rubbish=3.0)
    pool.load(1, 8, 2.0)
    pool.load(2, 5, 0.5)
    if graph:
        backend.init_decode_cuda_graph_batch_info(5, 1)
    slots = prepared(backend, pool, [1, 0, 2, 2], [1, 1, 1, 1], graph=graph)
    ids = torch.tensor([49, 7, 0, 1_000_000])  # the last is a placeholder of an image
    base = torch.randn(4, width)
    one_hot = torch.eye(vocabulary)[ids.clamp(max=vocabulary - 1)] * (ids < vocabulary)[:, None]

    def apply_lora(output, tokens):
        low = backend.run_lora_a_embedding(input_ids=tokens, weights=pool.a, vocab_size=vocabulary)
        return backend.run_lora_b_sgemm(x=low, weights=pool.b, base_output=output, output_offset=pool.starts)

    layer = SimpleNamespace(apply_lora=apply_lora)
    out = backend.forward_with_base(layer, ids, base.clone, pool.a, pool.b, pool.starts, (0, width), kind="embedding")
    close(out, base.double() + pool.reference(one_hot, slots))


@pytest.mark.parametrize("widths", [ONE, QKV])
def test_one_captured_graph_serves_adapters_of_any_rank(make, widths):
    """What a replay reads is what was captured: the tensors stay where they are, as do the launches."""
    backend = make()
    pool = loaded(widths, kinds=((8, 2.0),), rubbish=0.25)
    backend.init_decode_cuda_graph_batch_info(max_bs_in_cuda_graph=6, num_tokens_per_req=1)
    prepared(backend, pool, [0] * 6, [1] * 6, graph=True)
    x, base = torch.randn(6, HIDDEN), torch.randn(6, sum(widths))
    assert torch.equal(through(backend, pool, x, base), base)  # as it is captured: no adapter
    read = [backend.captured.rows.indices, *backend.captured.static[len(widths), MOST]]
    pool.load(2, 5, 0.5)
    pool.load(3, MOST, 1.0)
    for asked in ([2, 0, 1, 3, 2, 1], [3, 3, 0, 1]):
        slots = prepared(backend, pool, asked, [1] * len(asked), graph=True)
        x, base = torch.randn(6, HIDDEN), torch.randn(6, sum(widths))  # padded to the captured size
        wanted = base.double()
        wanted[: len(slots)] += pool.reference(x[: len(slots)], slots)
        close(through(backend, pool, x, base), wanted)
        again = [backend.captured.rows.indices, *backend.captured.static[len(widths), MOST]]
        assert all(one is other for one, other in zip(read, again))


def test_verified_drafts_are_captured_with_their_width(make):
    backend, pool = make(), loaded(GATE_UP, rubbish=0.0)
    backend.init_decode_cuda_graph_batch_info(max_bs_in_cuda_graph=3, num_tokens_per_req=2)
    slots = prepared(backend, pool, [1, 2], [2, 2], graph=True)
    x, base = torch.randn(4, HIDDEN), torch.randn(4, sum(GATE_UP))
    close(through(backend, pool, x, base), base.double() + pool.reference(x, slots))
    with pytest.raises(RuntimeError, match=r"2 tokens a request, this batch has \[1, 3\]"):
        prepared(backend, pool, [1, 2], [1, 3], graph=True)


def test_ranks_above_those_of_one_operator(make):
    backend, pool = make(), loaded(GATE_UP, kinds=((130, 0.1), (3, 1.0)), most=136)
    slots = prepared(backend, pool, [1, 2, 0], [2, 1, 1])
    x, base = torch.randn(4, HIDDEN), torch.randn(4, sum(GATE_UP))
    close(through(backend, pool, x, base), base.double() + pool.reference(x, slots))
    with pytest.raises(ValueError, match="--max-lora-rank is 257; --lora-backend cold_kernels takes ranks to 256"):
        through(backend, loaded(GATE_UP, most=257), x, base)


def test_tokens_in_runs_that_are_no_requests(make):
    backend, pool = make(), loaded(ONE)
    backend.prepare_lora_token_segments(
        segment_lens=[2, 1], weight_indices=[2, 1], lora_ranks=pool.ranks(), scalings=pool.scalings()
    )
    x, base = torch.randn(3, HIDDEN), torch.randn(3, *ONE)
    close(through(backend, pool, x, base), base.double() + pool.reference(x, [2, 2, 1]))


def test_what_sglang_reads_of_a_batch(make):
    backend, pool = make(), loaded(ONE)
    prepared(backend, pool, [2, 0], [3, 1])
    info = backend.batch_info
    assert (info.bs, info.num_segments, info.max_len, info.expected_tokens) == (2, 2, 3, 4)
    assert info.seg_indptr.tolist() == [0, 3, 4] and info.seg_lens.tolist() == [3, 1]
    assert info.weight_indices.tolist() == [2, 0] and info.lora_ranks.tolist() == [0, 8, 5, MOST]
    assert info.scalings.tolist() == [0.0, 2.0, 0.5, 1.0] and not info.use_cuda_graph


def test_what_cannot_be_done_is_refused_by_name(make):
    backend, pool = make(), loaded(ONE)
    x = torch.randn(3, HIDDEN)
    with pytest.raises(RuntimeError, match="3 rows, but the batch was prepared for None"):
        through(backend, pool, x, x)
    prepared(backend, pool, [1, 2], [1, 1])
    with pytest.raises(RuntimeError, match="3 rows, but the batch was prepared for 2"):
        through(backend, pool, x, x)
    with pytest.raises(ValueError, match=r"has no LoRA of experts \(MoE\)"):
        backend.is_moe_lora = True
    with pytest.raises(ValueError, match="no embeddings of tokens that an adapter adds"):
        backend.run_lora_a_embedding(torch.zeros(2).long(), pool.a, HIDDEN, extra_embeddings=x)
    with pytest.raises(ValueError, match=r"are not of slices at \[0, 32, 64\]"):
        backend.forward_with_base(None, x[:2], x[:2].clone, pool.a, pool.b, pool.starts, [0, 32, 64])
    with pytest.raises(ValueError, match="stack_num is 3; run_lora_a_sgemm takes 1"):
        backend.run_lora_a_sgemm(x[:2], pool.a, stack_num=3)
    with pytest.raises(RuntimeError, match="before init_decode_cuda_graph_batch_info"):
        prepared(backend, pool, [1, 2], [1, 1], graph=True)


def test_sglangs_experiment_with_kernels_of_its_own_is_refused(make, monkeypatch):
    monkeypatch.setattr(sys.modules["sglang.srt.environ"].envs.SGLANG_EXPERIMENTAL_LORA_OPTI, "get", lambda: True)
    with pytest.raises(ValueError, match="SGLANG_EXPERIMENTAL_LORA_OPTI do not go together"):
        make()
