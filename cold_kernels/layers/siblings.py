"""Which layers of a model share an input, by their names."""

from collections.abc import Callable, Hashable, Iterable

from ..limits import MAX_RANK

SHARE_AN_INPUT = ({"q_proj", "k_proj", "v_proj"}, {"gate_proj", "up_proj"})
"""Names of sibling layers that are given the same tensor; a wrong guess costs time, not correctness."""


def siblings(
    names: Iterable[str], rank: Callable[[str], int] = lambda name: 0, kind: Callable[[str], Hashable] = lambda name: 0
) -> list[list[str]]:
    """Layers by the input that they share, in the order of their names.

    Args:
        names: Of the layers, with dots.
        rank: Of a layer by its name; those of layers together are as many as one operator takes.
        kind: What layers together must be alike in, by a layer's name.
    """
    groups: list[list[str]] = []
    open_groups: dict[Hashable, list[str]] = {}
    for name in names:
        parent, _, own = name.rpartition(".")
        key = parent, next((i for i, known in enumerate(SHARE_AN_INPUT) if own in known), own), kind(name)
        group = open_groups.get(key)
        if group is None or sum(map(rank, [*group, name])) > MAX_RANK:
            open_groups[key] = group = []
            groups.append(group)
        group.append(name)
    return groups
