"""The compiled draw where tokens stay in few blocks of a row, where they do in more, and where no blocks are known."""

import math

import pytest
import torch

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)

from cold_kernels.contrastive.sample import contrastive_sample as spec
from cold_kernels.limits import MAX_CHOICES

from .sampling import assert_right, in_torch
from .test_compiled import launch

SIZE, TAKE = 128, 8
SMALL = dict(TILE_V=256, BLOCKS=128, TAKE=TAKE)  # of a row of 4000: 32 blocks, of which the last begins at 3872
BELOW_1 = 1 - 2.0**-24
WAYS = {"greedy": (0.0, 0, 1.0), "k": (1.0, 5, 1.0), "p": (1.0, 0, 0.6), "kp": (1.0, 9, 0.8), "none": (1.0, 0, 1.0)}


def rows(logits, uniform, temperature=1.0, top_k=0, top_p=1.0):
    """The same logits for each of the draws; -50 and less are masked."""
    count = len(uniform)
    by_row = dict(log_alpha=-20.0, beta=0.0, temperature=temperature, top_p=top_p)
    return dict(
        expert=logits.expand(count, -1),
        amateur=torch.zeros_like(logits).expand(count, -1),
        **{name: torch.full([count], value) for name, value in by_row.items()},
        top_k=torch.full([count], top_k, dtype=torch.int32),
        uniform=torch.tensor(uniform),
    )


def several(*parts):
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def drawn(args, **config):
    """The choices, and the simulation of the second launch."""
    choice = torch.full([len(args["expert"])], -1)
    simulations = launch(spec, {**args, "choice": choice}, **config)
    assert_right(args, choice)
    return choice, simulations[-1]


def in_blocks(count, vocabulary=4000, size=SIZE):
    """Logits in so many blocks, two in each, of three different ones in turn."""
    logits = torch.full([vocabulary], -50.0)
    for block in range(count):
        logits[block * size + block] = block % 3
        logits[(block + 1) * size - 1] = 0.5
    return logits


def every_way(logits):
    return several(*(rows(logits, [0.0, 0.4, BELOW_1], *way) for way in WAYS.values()))


@pytest.mark.parametrize("count", [1, TAKE - 1, TAKE, TAKE + 1, 2 * TAKE + 1])
def test_as_many_blocks_as_are_taken_and_more(count):
    """Up to ``TAKE`` nothing else is read; one more, and it is the whole row."""
    args = every_way(in_blocks(count))
    choice, second = drawn(args, **SMALL)
    assert torch.equal(choice, in_torch(args))
    assert (second.bytes_read < args["expert"].numel() * 4) == (count <= TAKE)


def peaks(places, vocabulary=4000):
    logits = torch.full([vocabulary], -50.0)
    logits[places] = 0.0
    return logits


LAST = 4000 - SIZE
ENDS = {
    "last-alone": [3970, 3999],
    "both": [3850, LAST, 3967, 3968, 3999],  # two of them also in the part of the last block that it shares
    "one-before": [LAST, 3967],
    "all-places": [100, 300, 500, 700, 900, 1100, 3900, 3990],
}


@pytest.mark.parametrize("places", ENDS.values(), ids=ENDS)
def test_a_last_block_that_overlaps_the_one_before(places):
    """Equally likely tokens: were one counted twice, it would be drawn twice as often."""
    draws = [(index + 0.5) / len(places) for index in range(len(places))]
    choice, _ = drawn(rows(peaks(places), draws), **SMALL)
    assert choice.tolist() == places


@pytest.mark.parametrize("count", [3, TAKE, TAKE + 1])
def test_ties_across_blocks(count):
    """Of equal tokens those with the lowest ids stay, in whichever block they are."""
    places = [SIZE * block + 5 * block for block in range(count)]
    for keep in (1, 2, count - 1):
        draws = [(index + 0.5) / keep for index in range(keep)]
        parts = [rows(peaks(places), draws, top_k=keep), rows(peaks(places), draws, top_p=(keep - 0.5) / count)]
        choice, _ = drawn(several(*parts), **SMALL)
        assert choice.tolist() == 2 * places[:keep]


def test_a_row_alone_and_among_others():
    """Rows that take either way, and one with NaN."""
    lost = in_blocks(3)
    lost[2000] = math.nan
    args = several(
        rows(in_blocks(TAKE), [0.3, 0.9], top_k=5),
        rows(in_blocks(TAKE + 1), [0.3, 0.9], top_k=5),
        rows(lost, [0.5]),
        rows(in_blocks(2), [0.7], top_p=0.6),
        rows(torch.full([4000], -math.inf), [0.5]),
        rows(torch.linspace(-1, 1, 4000), [0.2], top_k=50, top_p=0.9),
    )
    together, _ = drawn(args, **SMALL, cores=3)
    for row in range(len(together)):
        alone, _ = drawn({name: value[row : row + 1] for name, value in args.items()}, **SMALL)
        assert alone[0] == together[row]
    assert together[4] == 2000 and together[6] == 0


@pytest.mark.parametrize("vocabulary", [MAX_CHOICES - 1, MAX_CHOICES + 1])
def test_rows_just_below_and_above_the_longest_with_blocks(vocabulary):
    places = [7, 513, MAX_CHOICES // 2, vocabulary - 2, vocabulary - 1]
    choice, _ = drawn(rows(peaks(places, vocabulary).half(), [0.9], top_k=4))
    assert choice.tolist() == [vocabulary - 2]
