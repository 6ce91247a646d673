"""Position embeddings that change for a whole pass when one of its rows grows long (LongRoPE, as in Phi-3)."""

from collections.abc import Mapping, Sequence

from transformers import PreTrainedConfig


def switches_after(config: PreTrainedConfig) -> int | None:
    """Tokens of a row beyond which all rows of a pass have other position embeddings; None where that never happens."""
    parameters = getattr(config, "rope_parameters", None) or {}
    kinds = [parameters, *(each for each in parameters.values() if isinstance(each, Mapping))]
    return min(
        (kind["original_max_position_embeddings"] for kind in kinds if kind.get("rope_type") == "longrope"),
        default=None,
    )


def switches_while(config: PreTrainedConfig, lengths: Sequence[tuple[int, int]]) -> int | None:
    """Tokens beyond which position embeddings change while these requests are decoded; None if they do not.

    Args:
        lengths: Tokens of each prompt, and with all new tokens.

    Raises:
        ValueError: several requests, some of which would change those of others.
    """
    after = switches_after(config)
    if after is None or all(whole <= after for _, whole in lengths) or all(prompt > after for prompt, _ in lengths):
        return None
    if len(lengths) > 1:
        place, (prompt, whole) = next((i, each) for i, each in enumerate(lengths) if each[1] > after)
        raise ValueError(
            f"request {place}: with {prompt} tokens and {whole - prompt} new ones it passes {after}, where the model's "
            "position embeddings change for all requests of a pass (rope_type longrope); decode it in a call of its own"
        )
    return after
