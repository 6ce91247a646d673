"""Contrast inside vLLM: every greedy request of a mixed batch equals PEFT's two passes, whatever the scheduler does."""

import math

import pytest
import torch
from vllm.sampling_params import StructuredOutputsParams
from vllm.v1.request import RequestStatus

from .engine import NEW, Asked, add, check, engine, generate, mixed, scheduler
from .served import LETTERS

pytestmark = pytest.mark.engine
SMALL_CACHE = dict(block_size=32, num_gpu_blocks_override=18, max_num_seqs=16)


@pytest.fixture
def counted(monkeypatch):
    """What the scheduler does to rows of pairs."""
    from cold_kernels.integrations.vllm.scheduler import PairScheduler

    count = dict(preempted=0, alone=0, again=0)

    def counts(name, key, when=bool):
        original = getattr(PairScheduler, name)

        def method(self, *args, **kwargs):
            found = original(self, *args, **kwargs)
            count[key] += bool(when(found))
            return found

        monkeypatch.setattr(PairScheduler, name, method)

    counts("_preempt_request", "preempted", lambda _: True)
    counts("_was_alone", "alone")
    counts("_put_in_front", "again", lambda _: True)
    return count


@pytest.mark.parametrize(
    "options, happens",
    [
        (dict(), set()),
        (dict(max_num_batched_tokens=32, max_num_seqs=8), {"alone"}),
        (dict(max_num_seqs=3), {"alone"}),
        (SMALL_CACHE, {"preempted", "again"}),
        (dict(max_loras=1, max_num_seqs=4), {"alone"}),
        (dict(scheduling_policy="priority", **SMALL_CACHE), {"preempted"}),
        (dict(enable_prefix_caching=False, max_num_batched_tokens=48, max_num_seqs=6), {"alone"}),
    ],
    ids=["plain", "chunks", "few rows", "preemption", "one slot", "priorities", "no prefix cache"],
)
def test_each_request_is_the_references(served, counted, options, happens):
    with engine(served, **options) as llm:
        asked = mixed(served)
        check(llm, served, asked)
        check(llm, served, asked[::-1])  # once more, with what is in the prefix cache by now
    assert {name for name in happens if counted[name]} == happens


def test_a_pair_takes_the_last_rows_of_the_context(served):
    with engine(served) as llm:
        prompt = mixed(served, 1)[0].prompt * 300
        asked = [Asked(prompt[:length], "math", dict(beta=0.5)) for length in (250, 255)]
        found = [list(each.outputs[0].token_ids) for each in generate(llm, served, asked)]
    assert found == [
        served.expected(each.prompt, 256 - len(each.prompt), "math", alpha=0.1, beta=0.5) for each in asked
    ]


def test_without_an_amateur_contrast_is_the_mask_alone(served):
    with engine(served) as llm:
        asked = [
            Asked([5, 6, 7], None, dict(beta=0.5)),
            Asked([5, 6, 7], "math", dict(beta=0)),
            Asked([5, 6, 7], "math", dict(beta=0, alpha=1), dict(temperature=1.0, seed=4)),
        ]
        found = [list(each.outputs[0].token_ids) for each in generate(llm, served, asked)]
    plain = served.expected([5, 6, 7], NEW, "math")
    assert found == [served.expected([5, 6, 7], NEW, None), plain, plain]  # alpha = 1 leaves the likeliest alone


def test_what_changes_logits_changes_the_experts(served):
    letters = [LETTERS.index(letter) for letter in "abc"]
    few = torch.full((1, len(LETTERS)), -math.inf)
    few[0, letters] = 0.0
    biased = torch.zeros(1, len(LETTERS))
    biased[0, letters] = torch.tensor([3.0, -2.0, 8.0])
    cases = {
        "grammar": (dict(structured_outputs=StructuredOutputsParams(regex="[a-c]{16}")), few),
        "allowed": (dict(allowed_token_ids=letters), few),
        "bias": (dict(logit_bias=dict(zip(letters, biased[0, letters].tolist(), strict=True))), biased),
    }
    with engine(served) as llm:
        asked = [Asked([9, 8, 7, 6], "style", dict(beta=0.5, alpha=0.1), sampling) for sampling, _ in cases.values()]
        outputs = generate(llm, served, asked)
        assert not scheduler(llm).requests
    for (name, (_, added)), output in zip(cases.items(), outputs, strict=True):
        processors = [lambda _, scores, added=added: scores + added]
        expected = served.references["style"].greedy([9, 8, 7, 6], NEW, alpha=0.1, beta=0.5, processors=processors)
        assert list(output.outputs[0].token_ids) == expected, name


def test_both_rows_end_together(served):
    with engine(served) as llm:
        for each in mixed(served, 8):
            add(llm, served, each)
        for _ in range(3):
            llm.llm_engine.step()
        assert any(map(scheduler(llm).pairs.is_amateur, scheduler(llm).requests))
        scheduler(llm).finish_requests(
            [name for name in scheduler(llm).requests if "#" not in name], RequestStatus.FINISHED_ABORTED
        )
        assert not scheduler(llm).requests
        assert scheduler(llm).kv_cache_manager.usage == 0


def test_a_stall_ends(served, counted):
    """An expert whose amateur is kept out starts again after a while, and then both go on."""
    from cold_kernels.integrations.vllm.scheduler import STALLED_STEPS

    with engine(served) as llm:
        manager, refused = scheduler(llm).kv_cache_manager, []
        allocate = manager.allocate_slots

        def without_amateurs(request, *args, **kwargs):
            if request.request_id.endswith("#amateur") and not counted["again"] and len(refused) < 5 * STALLED_STEPS:
                refused.append(request)
                return None
            return allocate(request, *args, **kwargs)

        manager.allocate_slots = without_amateurs
        check(llm, served, [Asked([1, 2, 3], "math", dict(beta=0.5))])
    assert counted["again"] and len(refused) < 2 * STALLED_STEPS


def test_several_halves_start_again_in_pairs(served):
    """Experts that took all rows before their amateurs: the first of them gets its amateur next."""
    with engine(served, max_num_seqs=4) as llm:
        core, asked = scheduler(llm), [Asked([place, 2, 3], "math", dict(beta=0.5)) for place in (1, 4)]
        for each in asked:
            add(llm, served, each)
        llm.llm_engine.step()
        experts = [name for name in core.requests if "#" not in name]
        for name in reversed(experts):
            amateur = core.requests[core.pairs.other(name)]
            core.running.remove(amateur)
            core._preempt_request(amateur, 0.0)
        core._start_torn_again()
        assert not core.running
        waiting = [request.request_id for request in core.waiting]
        assert waiting == [each for name in experts for each in (name, core.pairs.other(name))]
        while llm.llm_engine.has_unfinished_requests():
            llm.llm_engine.step()
        assert not core.requests and not core.pairs


def test_statistics_count_a_pair_once(served):
    with engine(served, disable_log_stats=False, max_loras=1) as llm:
        add(llm, served, Asked([1, 2, 3], "math", dict(beta=0.5)))
        llm.llm_engine.step()
        stats = scheduler(llm).make_stats()
        assert len(scheduler(llm).running) == 2
        assert (stats.num_running_reqs, stats.num_waiting_reqs) == (1, 0)
        add(llm, served, Asked([1, 2, 3], "style", dict(beta=0.5)))
        llm.llm_engine.step()  # there is one slot, and "math" has it
        stats = scheduler(llm).make_stats()
        waiting = stats.num_waiting_reqs, stats.num_skipped_waiting_reqs
        assert stats.num_running_reqs == 1 and min(waiting) >= 0 and sum(waiting) == 1


def test_a_pair_that_disagrees_ends_with_an_error(served, monkeypatch):
    """As if something changed the logits of one row behind the processor; all other requests go on."""
    from cold_kernels.integrations.vllm.processor import ContrastProcessor

    apply = ContrastProcessor.apply

    def disagree(self, logits):
        logits = apply(self, logits)
        if self._chosen is not None:
            logits[self._chosen.amateur] = logits[self._chosen.amateur].roll(1, -1)
        return logits

    monkeypatch.setattr(ContrastProcessor, "apply", disagree)
    plain = Asked([4, 5, 6], "style")
    with engine(served) as llm:
        torn, whole = generate(llm, served, [Asked([1, 2, 3], "math", dict(beta=0.5)), plain])
        assert not scheduler(llm).requests and not scheduler(llm).pairs
    assert torn.outputs[0].finish_reason == "error" and not torn.outputs[0].token_ids
    assert list(whole.outputs[0].token_ids) == served.expected(plain.prompt, NEW, "style")
