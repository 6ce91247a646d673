"""What the expert alone would have chosen, step by step."""

import torch


class Favourite:
    """A logits processor that changes nothing and notes the expert's likeliest token and its probability."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, float]] = []

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        best = scores[0].argmax()
        self.steps.append((int(best), float(scores[0].softmax(-1)[best])))
        return scores
