"""What ``generate`` calls once a step for its whole batch: logits processors, warpers and stopping criteria."""

from collections.abc import Callable, Sequence

import torch
from transformers import LogitsProcessorList, StoppingCriteriaList


class Together:
    """Processors and criteria of a batch of requests that take their steps together, called as ``generate`` does.

    They see all rows, padded on the left. A row that is done goes on with padding and with the last logits it had,
    until all are; where no criterion has an ``eos_token_id`` it goes on with tokens of its own, as in ``generate``.

    Args:
        input_ids: Prompts ``[B, L]``, int64, padded on the left; row i belongs to the i-th request.
        processors: They change the experts' logits.
        warpers: They change what the tokens are chosen from: the scores, or the logits where nothing is contrasted.
        criteria: When a row is done.
        padding: The token with which rows that are done go on.
        keeps_logits, keeps_scores: Whether to keep them in ``logits`` and ``scores``.

    Attributes:
        ended: By row, whether a criterion has ended it.
        logits: Of each step, as the model gave them, ``[B, V]``, fp32.
        scores: Of each step, what the tokens were chosen from, ``[B, V]``, fp32.
    """

    def __init__(
        self,
        input_ids: torch.Tensor,
        processors: Sequence[Callable] = (),
        warpers: Sequence[Callable] = (),
        criteria: Sequence[Callable] = (),
        padding: int = 0,
        keeps_logits: bool = False,
        keeps_scores: bool = False,
    ) -> None:
        self._processors, self._warpers = LogitsProcessorList(processors), LogitsProcessorList(warpers)
        self._criteria, self._padding = StoppingCriteriaList(criteria), padding
        self._ends_rows = any(hasattr(criterion, "eos_token_id") for criterion in criteria)
        self._keeps_logits, self._keeps_scores = keeps_logits, keeps_scores
        self._ids, self._last = input_ids, {}
        self._done = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        self.ended = [False] * len(input_ids)
        self.logits: tuple[torch.Tensor, ...] = ()
        self.scores: tuple[torch.Tensor, ...] = ()

    @property
    def warps(self) -> bool:
        """Whether `warped` has anything to do."""
        return bool(self._warpers) or self._keeps_scores

    def processed(self, rows: Sequence[int], logits: torch.Tensor) -> torch.Tensor:
        """The experts' logits ``[len(rows), V]`` after the processors, fp32; ``rows`` are those that are left."""
        if not (self._processors or self._keeps_logits):
            return logits
        batch = self._filled("logits", rows, logits)
        if self._keeps_logits:
            self.logits += (batch.clone(),)
        return self._processors(self._ids, batch)[list(rows)].to(logits.device)

    def warped(self, rows: Sequence[int], scores: torch.Tensor) -> torch.Tensor:
        """Scores ``[len(rows), V]`` after the warpers, fp32."""
        batch = self._warpers(self._ids, self._filled("scores", rows, scores))
        if self._keeps_scores:
            self.scores += (batch,)
        return batch[list(rows)].to(scores.device)

    def append(self, rows: Sequence[int], tokens: Sequence[int]) -> None:
        """Go on with these tokens of the rows that are left, -1 where there was none, and ask the criteria."""
        column = [self._padding] * len(self.ended)
        left = torch.zeros_like(self._done)
        for row, token in zip(rows, tokens, strict=True):
            if token >= 0:
                column[row], left[row] = token, True
        self._ids = torch.cat([self._ids, self._ids.new_tensor(column)[:, None]], 1)
        done = self._criteria(self._ids, self.scores if self._keeps_scores else None)
        if done.shape != self._done.shape:
            raise ValueError(
                f"stopping_criteria gave {list(done.shape)} values for {len(self.ended)} rows; one for each"
            )
        self._done |= done
        over = (self._done | ~left).all()
        self.ended = (self._done if self._ends_rows else over.expand_as(self._done)).tolist()

    def _filled(self, kind: str, rows: Sequence[int], values: torch.Tensor) -> torch.Tensor:
        """The whole batch's, with what rows that have left had last."""
        if kind not in self._last:
            shape = len(self.ended), values.shape[1]
            self._last[kind] = torch.zeros(shape, dtype=torch.float32, device=self._ids.device)
        self._last[kind][list(rows)] = values.to(self._ids.device, torch.float32)
        return self._last[kind].clone()
