"""When it pays that amateurs lag: the rule, and what it rests on."""

from collections.abc import Sequence

from ..packed.rows import PackedRows
from ..padded.rows import PaddedRows
from .course import Course

READS, READS_ON_CPU = 0.1, 0.5
"""Bytes of keys and values that the amateurs of a pass would read, as a share of the weights' bytes, from which on. On
devices by what ``python -m bench step`` models; on the CPU, where an attention of its own costs more, as measured."""
FEWEST, MOST = 2, 6
"""Requests, on the CPU, whose passes are the slower for twice the tokens, however short their contexts."""


def worth_lagging(rows: PackedRows | PaddedRows, courses: Sequence[Course]) -> bool:
    """Whether amateurs should lag in the next pass.

    An amateur that is fed with every pass costs a token of linear layers, nearly free where those wait for their
    weights, and one read of its keys and values. One that lags costs as many tokens, some at once and in fewer passes,
    and one read for all of them, but an attention of its own. So it pays where much would be read.
    """
    contexts = [course.amateur_fed or len(course.text) for course in courses if course.may_lag]
    if not contexts:
        return False
    if rows.on_cpu and FEWEST <= len(contexts) <= MOST:
        return True
    share = READS_ON_CPU if rows.on_cpu else READS
    return sum(map(rows.bytes_read, contexts)) >= share * rows.weights_bytes
