"""vLLM's scheduler, in which a request for contrast has an amateur beside it.

The amateur is a request of its own: the same prompt, no adapter. Both have keys and values of their own and are
scheduled as any other request, so chunked prefill, prefix caching, preemption and limits hold for them as they are. A
token counts only in a step in which both rows were sampled; whichever was sampled alone does its last token again.
"""

import secrets
import time
from collections.abc import Iterable
from typing import Any

from vllm.config import VllmConfig
from vllm.logger import init_logger
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs, FinishReason
from vllm.v1.kv_cache_interface import KVCacheConfig
from vllm.v1.outputs import ModelRunnerOutput
from vllm.v1.request import Request, RequestStatus

from .contrast import ALONE, AMATEUR, EXPERT, contrast_of, marked
from .pairs import Pairs
from .requirements import check_cache, check_engine

logger = init_logger(__name__)

STALLED_STEPS = 16
"""Steps in which the whole engine computed nothing but rows without their other one, after which these start again."""


class PairScheduler(Scheduler):
    """To be named as ``scheduler_cls``; see the module.

    Raises:
        ValueError: an engine in which pairs would wait for ever or get wrong tokens; says which option to change.
    """

    def __init__(self, vllm_config: VllmConfig, kv_cache_config: KVCacheConfig, *args: Any, **kwargs: Any) -> None:
        check_engine(vllm_config)
        check_cache(vllm_config, kv_cache_config)
        super().__init__(vllm_config, kv_cache_config, *args, **kwargs)
        self.pairs = Pairs()
        self._torn: dict[str, None] = {}
        self._left: set[str] = set()
        self._failed: set[str] = set()
        self._idle_steps = 0

    def add_request(self, request: Request) -> None:
        """Queue a request, and behind it its amateur if it asks for contrast with its base model."""
        contrast = contrast_of(request.sampling_params)
        if contrast is None or request.request_id in self.requests:
            super().add_request(request)
            return
        if request.resumable:
            logger.error(
                "Request %s asks for contrast and goes on with new input, which is not possible", request.request_id
            )
            self._failed.add(request.request_id)
        params, name = request.sampling_params, request.request_id
        seed = params.seed if params.seed is not None else secrets.randbits(62)
        if request.lora_request is None or not contrast.beta:
            request.sampling_params = marked(params, ALONE, name, seed)
            super().add_request(request)
            return
        request.sampling_params = marked(params, EXPERT, name, seed)
        amateur = Request(
            request_id=self.pairs.add(name, self.requests),
            prompt_token_ids=request.prompt_token_ids,
            prompt_embeds=request.prompt_embeds,
            mm_features=request.mm_features,
            sampling_params=marked(params, AMATEUR, name, seed),
            pooling_params=None,
            client_index=request.client_index,
            arrival_time=request.arrival_time,
            lora_request=None,
            cache_salt=request.cache_salt,
            priority=request.priority,
            block_hasher=request._block_hasher,
        )
        super().add_request(request)
        super().add_request(amateur)

    def schedule(self, *args: Any, **kwargs: Any) -> SchedulerOutput:
        """Plan a step. Of a pair torn by preemption the other one is preempted too: its memory is of no use alone."""
        self._start_torn_again()
        return super().schedule(*args, **kwargs)

    def update_from_output(
        self, scheduler_output: SchedulerOutput, model_runner_output: ModelRunnerOutput
    ) -> dict[int, EngineCoreOutputs]:
        """Take in a step: tokens of pairs count where both have one, and clients see the experts alone."""
        scheduled = scheduler_output.num_scheduled_tokens
        if not self.pairs and not self._failed:
            return super().update_from_output(scheduler_output, model_runner_output)
        alone = [name for name in scheduled if self._was_alone(name, scheduler_output, model_runner_output)]
        for name in alone:
            model_runner_output.sampled_token_ids[model_runner_output.req_id_to_index[name]] = []
            self.requests[name].num_computed_tokens -= 1
        self._notice_stall(idle=len(alone) == len(scheduled))
        outputs = super().update_from_output(scheduler_output, model_runner_output)
        self._end_what_is_left(outputs)
        for part in outputs.values():
            part.outputs = [each for each in part.outputs if not self.pairs.is_amateur(each.request_id)]
            if part.finished_requests:
                part.finished_requests = {each for each in part.finished_requests if not self.pairs.is_amateur(each)}
        self.pairs.forget(self.requests)
        return outputs

    def finish_requests(self, request_ids: str | Iterable[str] | None, finished_status: RequestStatus) -> Any:
        """End requests, each with the other one of its pair."""
        if request_ids is not None:
            names = [request_ids] if isinstance(request_ids, str) else request_ids
            request_ids = self.pairs.with_others(names)
        ended = super().finish_requests(request_ids, finished_status)
        self._left.intersection_update(self.requests)
        return [each for each in ended if not self.pairs.is_amateur(each.request_id)]

    def make_stats(self, *args: Any, **kwargs: Any) -> Any:
        """vLLM's statistics, with a pair counted once among running and waiting requests; its memory counts twice."""
        stats = super().make_stats(*args, **kwargs)
        if stats is not None and self.pairs:
            running, skipped = map(self._amateurs_in, (self.running, self._skipped()))
            stats.num_running_reqs -= running
            stats.num_skipped_waiting_reqs -= skipped
            stats.num_waiting_reqs -= self._amateurs_in(self.requests.values()) - running - skipped
        return stats

    def _amateurs_in(self, requests: Iterable[Request]) -> int:
        return sum(self.pairs.is_amateur(request.request_id) for request in requests)

    def _skipped(self) -> Iterable[Request]:
        """Waiting requests that the last step passed over: a queue of their own up to 0.31, a mark after that."""
        return self.skipped_waiting if hasattr(self, "skipped_waiting") else self.deferred_waiting

    def _handle_blocked_waiting_request(self, request: Request) -> bool:
        """Whether a waiting request may start; an amateur not before its expert.

        Asked of every request from 0.32 on; before that such an amateur starts, and is alone until its expert does.
        """
        expert = self.pairs.other(request.request_id) if self.pairs.is_amateur(request.request_id) else None
        if expert is not None and self.requests[expert].status != RequestStatus.RUNNING:
            return False
        return super()._handle_blocked_waiting_request(request)

    def _preempt_request(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super()._preempt_request(request, *args, **kwargs)
        other = self.pairs.other(request.request_id)
        if other is not None:
            self._torn[other] = None

    def _free_request(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        other = self.pairs.drop(request.request_id)
        if other is not None:
            self._torn.pop(request.request_id, None)
            self._left.add(other)
        return super()._free_request(request, *args, **kwargs)

    def _end_what_is_left(self, outputs: dict[int, EngineCoreOutputs]) -> None:
        """End requests whose other one has ended: an amateur as where a grammar ends the expert alone, an expert with
        an error."""
        left = {name for name in self._left if name in self.requests}
        failed = {name for name in left | self._failed if name in self.requests and not self.pairs.is_amateur(name)}
        self._left.clear()
        self._failed.clear()
        for name in failed:
            request = self.requests[name]
            error = EngineCoreOutput(request_id=name, new_token_ids=[], finish_reason=FinishReason.ERROR)
            outputs.setdefault(request.client_index, EngineCoreOutputs(outputs=[])).outputs.append(error)
        self.finish_requests(failed, RequestStatus.FINISHED_ERROR)
        self.finish_requests(left - failed, RequestStatus.FINISHED_ABORTED)

    def _was_alone(self, name: str, scheduled: SchedulerOutput, output: ModelRunnerOutput) -> bool:
        """Whether one of a pair was sampled in a step in which the other one did not get the same token."""
        other, sampled = self.pairs.other(name), output.sampled_token_ids
        if other is None or name not in self.requests or not sampled:
            return False
        places = output.req_id_to_index
        mine = sampled[places[name]]
        if not len(mine):
            return False
        theirs = sampled[places[other]] if other in scheduled.num_scheduled_tokens else ()
        if len(theirs) and list(theirs) != list(mine):
            logger.error("%s got %s, and %s %s, where contrast chooses for both", name, list(mine), other, list(theirs))
            self._failed.add(other if self.pairs.is_amateur(name) else name)
            return True
        return not len(theirs)

    def _notice_stall(self, idle: bool) -> None:
        """After many steps without a token or a part of a prompt, have rows without their other one start again."""
        halves = [request.request_id for request in self.running if self._is_half(request)] if idle else []
        self._idle_steps = self._idle_steps + 1 if halves else 0
        if self._idle_steps < STALLED_STEPS:
            return
        self._idle_steps = 0
        logger.warning("No pair went on for %d steps; %d rows start again", STALLED_STEPS, len(halves))
        self._torn.update(dict.fromkeys(halves))

    def _is_half(self, request: Request) -> bool:
        other = self.pairs.other(request.request_id)
        return other is not None and self.requests[other].status != RequestStatus.RUNNING

    def _start_torn_again(self) -> None:
        """Preempt running rows whose other one waits; their pairs stand in front of the queue then, each together.

        Were they apart, the experts could all start before the first amateur, and take its row or its memory again.
        """
        torn = [self.requests[name] for name in self._torn if name in self.requests]
        self._torn.clear()
        halves = [each for each in torn if each.status == RequestStatus.RUNNING and self._is_half(each)]
        for request in sorted(halves, key=lambda each: each.arrival_time, reverse=True):
            self.running.remove(request)
            super()._preempt_request(request, time.monotonic())
            self._put_in_front(request)

    def _put_in_front(self, request: Request) -> None:
        """An expert and behind it its amateur, both waiting, become the first of the queue."""
        name = request.request_id
        pair = [self.requests[each] for each in (name, self.pairs.other(name))]
        expert, amateur = reversed(pair) if self.pairs.is_amateur(name) else pair
        for queue in (self.waiting, getattr(self, "kv_holding_waiting", None), getattr(self, "skipped_waiting", None)):
            if queue is not None:
                queue.remove_requests(pair)
        getattr(self, "deferred_waiting", set()).difference_update(pair)
        for each in (amateur, expert):
            self.waiting.prepend_request(each)
