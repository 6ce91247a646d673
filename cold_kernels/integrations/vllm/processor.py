"""The logits processor: the rows of expert and amateur get one token, chosen by the contrastive score."""

from dataclasses import dataclass, field

import torch
from vllm import SamplingParams
from vllm.config import VllmConfig
from vllm.v1.sample.logits_processor.interface import BatchUpdate, LogitsProcessor, MoveDirectionality

from cold_kernels import contrastive_argmax, contrastive_sample

from .contrast import ALONE, AMATEUR, PAIR, ROLE, SEED, Contrast, check_params, contrast_of
from .requirements import check_scheduler


@dataclass
class Row:
    """A row of the batch that takes part in contrast.

    Args:
        params: As the scheduler has marked them.
        output: The row's tokens so far, as the runner goes on with them.
    """

    params: SamplingParams
    output: list[int]
    uniforms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.role, self.pair = self.params.extra_args[ROLE], self.params.extra_args[PAIR]
        self.contrast: Contrast = contrast_of(self.params)
        self._generator = torch.Generator().manual_seed(self.params.extra_args[SEED])

    def uniform(self) -> float:
        """The draw for the token that comes next: that of its place, however often the place is done again."""
        place = len(self.output)
        while len(self.uniforms) <= place:
            self.uniforms.append(float(torch.rand(1, generator=self._generator)))
        return self.uniforms[place]


@dataclass(frozen=True)
class Chosen:
    """The pairs of a batch as tensors: places of the rows, and what their requests say."""

    experts: list[Row]
    expert: torch.Tensor
    amateur: torch.Tensor
    both: torch.Tensor
    alpha: torch.Tensor
    beta: torch.Tensor
    sampling: tuple[torch.Tensor, ...] | None

    @classmethod
    def of(cls, pairs: list[tuple[int, int]], rows: dict[int, Row], device: torch.device) -> "Chosen":
        experts = [rows[expert] for expert, _ in pairs]
        params = [row.params for row in experts]
        sampling = None
        if any(each.temperature > 0 for each in params):
            sampling = (
                torch.tensor([float(each.temperature) for each in params], device=device),
                torch.tensor([max(each.top_k, 0) for each in params], dtype=torch.int32, device=device),
                torch.tensor([float(each.top_p) for each in params], device=device),
            )
        expert = torch.tensor([expert for expert, _ in pairs], device=device)
        amateur = torch.tensor([amateur for _, amateur in pairs], device=device)
        return cls(
            experts,
            expert,
            amateur,
            torch.cat([expert, amateur]),
            torch.tensor([row.contrast.alpha for row in experts], device=device),
            torch.tensor([row.contrast.beta for row in experts], device=device),
            sampling,
        )

    def tokens(self, logits: torch.Tensor) -> torch.Tensor:
        """Each pair's token, ``[P]`` int64."""
        expert, amateur = logits[self.expert], logits[self.amateur]
        if self.sampling is None:
            return contrastive_argmax(expert, amateur, self.alpha, self.beta)
        uniform = torch.tensor([row.uniform() for row in self.experts], device=logits.device)
        return contrastive_sample(expert, amateur, self.alpha, self.beta, *self.sampling, uniform)


class ContrastProcessor(LogitsProcessor):
    """Puts the token that contrast chooses into the rows of both, as logits that leave no other.

    So whatever vLLM's sampler does with temperature, top-k and top-p, it draws this token. Rows of a pair whose other
    one is not in the batch are left alone: the scheduler counts no token of theirs.
    """

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """Refuse what a request cannot have; the server answers HTTP 400.

        Raises:
            ValueError: as `check_params`.
        """
        check_params(sampling_params)

    def __init__(self, vllm_config: VllmConfig, device: torch.device, is_pin_memory: bool) -> None:
        check_scheduler(vllm_config)
        self._rows: dict[int, Row] = {}
        self._device = device
        self._chosen: Chosen | None = None

    def is_argmax_invariant(self) -> bool:
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow the batch: rows that left, came, and moved, in this order."""
        if batch_update is None:
            return
        before = dict(self._rows)
        for row in batch_update.removed:
            self._rows.pop(row, None)
        for row, params, _, output in batch_update.added:
            self._rows.pop(row, None)
            if ROLE in (params.extra_args or {}):
                self._rows[row] = Row(params, output)
        for one, other, way in batch_update.moved:
            moved, there = self._rows.pop(one, None), self._rows.pop(other, None)
            if moved is not None:
                self._rows[other] = moved
            if way == MoveDirectionality.SWAP and there is not None:
                self._rows[one] = there
        if self._rows != before:
            self._chosen = self._pairs()

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Replace the logits ``[B, V]`` of pairs, in place."""
        if self._chosen is None:
            return logits
        tokens = self._chosen.tokens(logits)
        logits[self._chosen.both] = -torch.inf
        logits[self._chosen.both, tokens.repeat(2)] = 0.0
        return logits

    def _pairs(self) -> Chosen | None:
        amateurs = {row.pair: place for place, row in self._rows.items() if row.role == AMATEUR}
        pairs = []
        for place, row in sorted(self._rows.items()):
            if row.role == AMATEUR:
                continue
            amateur = place if row.role == ALONE else amateurs.get(row.pair)
            if amateur is not None:
                pairs.append((place, amateur))
        return Chosen.of(pairs, self._rows, self._device) if pairs else None
