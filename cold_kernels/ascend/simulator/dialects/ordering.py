"""Operations on the order of a row's elements: every n-th one, two rows into one, backwards, sorted.

Meaning follows AscendNPU-IR v1.2.0, bishengir/lib/Template/lib/Vector (Deinterleave, Interleave, Gather/Flip1D, Sort).
"""

import numpy as np

from ..core.memory import BIT, BLOCK, MemRef
from ..core.operations import Op, handles
from ..trace.copy_costs import copy_work
from ..trace.events import issues
from ..trace.movement_costs import SORTED_TOGETHER, flip_work, pick_work, sort_work, weave_work
from ..trace.operands import operand


def _rows_of_blocks(*refs: MemRef) -> bool:
    """Whether every row is dense and starts at a block."""
    return all(
        ref.address % BLOCK == 0
        and ref.strides[-1] == 1
        and all(n == 1 or s * ref.itemsize % BLOCK == 0 for n, s in zip(ref.shape[:-1], ref.strides[:-1], strict=True))
        for ref in refs
    )


def _check_types(op: Op, *refs: MemRef, sizes: tuple[int, ...] = (2, 4)) -> None:
    if any(ref.dtype is BIT or ref.dtype.itemsize not in sizes for ref in refs):
        raise op.unsupported(f"elements of type {refs[0].dtype}")


@handles("hivm.hir.vdeinterleave")
def deinterleave(translator, op: Op):
    """Channel ``k`` of ``n``: the elements ``n * i + k``; all of a source whose stride skips the other channels."""
    source, *targets = map(translator.slot, op.operands)
    channels, mode = op.number("channel_num", 2), op.word("index_mode")
    if len(targets) != 1 or mode not in ("CHANNEL_0", "CHANNEL_1")[: 2 if channels == 2 else 1]:
        raise op.unsupported(f"{mode} of {channels} channels")
    (target,), first, core = targets, int(mode[-1]), translator.core
    issue = issues(op)

    def step(env: list) -> None:
        whole, part = env[source], env[target]
        _check_types(op, whole, part)
        columns = part.shape[-1]
        skipping = channels > 2 and whole.shape == part.shape
        if not skipping and (channels > 2 or whole.shape != (*part.shape[:-1], 2 * columns)):
            raise op.unsupported(f"channel {first} of {channels} of {whole!r} in {part!r}")
        if skipping:
            _check_skipping(op, whole, part)
        same = skipping and whole.strides[-1] == part.strides[-1]
        price = copy_work(operand(whole), operand(part)) if same else pick_work(operand(whole), operand(part), skipping)
        core.trace.append(issue(price))
        if core.values:
            part.assign(whole.read() if skipping else whole.read()[..., first::2])

    return step


def _check_skipping(op: Op, whole: MemRef, part: MemRef) -> None:
    """The library takes a source whose elements are whole blocks apart. One row goes into a dense one, or, copied, into
    one with the same stride; rows go into rows that are that much closer, and it does nothing with others."""
    apart, (*outer, stride) = whole.strides[-1], part.strides
    placed = stride in (1, apart) if not outer else stride == 1 and whole.strides[-2] == outer[-1] * apart
    if not whole.size or (apart * whole.itemsize % BLOCK == 0 and placed):
        return
    raise op.unsupported(
        f"taking elements {apart} apart, rows by {whole.strides[:-1]}, to elements {stride} apart, rows by "
        f"{part.strides[:-1]}, which the device leaves undone,"
    )


@handles("hivm.hir.vinterleave")
def interleave(translator, op: Op):
    """Elements of the first source at even places, of the second at odd ones."""
    sources, (target,), _ = op.groups()
    if len(sources) != 2 or op.number("interleave_channel_nums", 2) != 2:
        raise op.unsupported(f"{len(sources)} channels")
    slots, core = [translator.slot(value) for value in (*sources, target)], translator.core
    issue = issues(op)

    def step(env: list) -> None:
        even, odd, whole = (env[slot] for slot in slots)
        _check_types(op, even, odd, whole)
        columns = even.shape[-1]
        if even.shape != odd.shape or whole.shape != (*even.shape[:-1], 2 * columns):
            raise op.unsupported(f"{even!r} and {odd!r} into {whole!r}")
        core.trace.append(issue(weave_work(*map(operand, (even, odd, whole)))))
        if core.values:
            whole.assign(np.stack([even.read(), odd.read()], axis=-1).reshape(whole.shape))

    return step


@handles("hivm.hir.vflip")
def flip(translator, op: Op):
    """The last axis backwards."""
    source, target = map(translator.slot, op.operands)
    axis, core = op.number("flip_axis"), translator.core
    issue = issues(op)

    def step(env: list) -> None:
        ref, reversed_ = env[source], env[target]
        _check_types(op, ref, reversed_, sizes=(1, 2, 4, 8))
        if axis != len(ref.shape) - 1 or ref.strides[-1] != reversed_.strides[-1]:
            # The library flips the last axis, and places results by the stride of the source.
            raise op.unsupported(f"flipping axis {axis} of {ref!r} into {reversed_!r}")
        core.trace.append(issue(flip_work(operand(ref), operand(reversed_))))
        if core.values:
            reversed_.assign(np.flip(ref.read(), axis).copy())

    return step


@handles("hivm.hir.vsort")
def sort(translator, op: Op):
    """The last axis in order. NaN counts as the greatest, as the library's own filling relies on."""
    (source,), (target, *indices), _ = op.groups()
    axis, descending = op.number("sort_axis", -1), bool(op.number("descending"))
    if indices:
        raise op.unsupported("the order of equal elements, which the indices show,")
    source_slot, target_slot, core = translator.slot(source), translator.slot(target), translator.core
    issue = issues(op)

    def step(env: list) -> None:
        ref, ordered = env[source_slot], env[target_slot]
        _check_types(op, ref, ordered)
        if axis not in (-1, len(ref.shape) - 1) or not _rows_of_blocks(ref, ordered):
            raise op.unsupported(f"sorting {ref!r} by axis {axis}, other than dense rows,")
        rest = filled_up(ref)
        if rest is not None and not _has_room(ref, rest):
            raise op.unsupported(f"sorting rows of {ref!r}, which the device fills up to a multiple of 32 elements,")
        core.trace.append(issue(sort_work(operand(ref), descending)))
        if core.values:
            values = np.sort(ref.read(), axis=-1)
            ordered.assign(values[..., ::-1] if descending else values)
            if rest is not None:
                rest.write(-np.inf if descending else np.nan)

    return step


def filled_up(ref: MemRef) -> MemRef | None:
    """What a sort writes behind each row of its source: the elements up to a multiple of 32; None if there are none."""
    columns = ref.shape[-1]
    rest = -columns % SORTED_TOGETHER
    if columns == 1 or not rest:
        return None
    return MemRef(ref.allocation, ref.offset + columns, (*ref.shape[:-1], rest), ref.strides, ref.dtype)


def _has_room(ref: MemRef, rest: MemRef) -> bool:
    """Whether the rows are far enough apart, and the buffer goes on behind the last one."""
    columns = ref.shape[-1] + rest.shape[-1]
    apart = all(n == 1 or stride >= columns for n, stride in zip(ref.shape[:-1], ref.strides[:-1], strict=True))
    return apart and rest.address + rest.extent <= ref.allocation.end
