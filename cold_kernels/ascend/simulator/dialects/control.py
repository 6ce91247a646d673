"""Loops and branches."""

from collections.abc import Iterator

from ..core.operations import Op, handles
from ..core.waiting import driven, waits
from .row_loops import all_at_once
from .scalar_loops import LOOP_OVERHEAD, MAX_ITERATIONS, endless, is_scalar, steps, written


def _assign(env: list, slots: list[int], values: list) -> None:
    for slot, value in zip(slots, values, strict=True):
        env[slot] = value


@handles("scf.for")
def loop(translator, op: Op):
    """Bounds and carried values as the data say; loops of scalar work alone, or of loads of rows, run as one Python
    function."""
    if is_scalar(op):
        return written(translator, op)
    lower, upper, step_size = (translator.slot(operand) for operand in op.operands[:3])
    initial = [translator.slot(operand) for operand in op.operands[3:]]
    block = op.regions[0].block
    induction, *carried = (translator.slot(argument) for argument in block.args)
    body = translator.block(block, LOOP_OVERHEAD, op)
    yielded = [translator.slot(operand) for operand in block.last_op.operands]
    results = [translator.slot(result) for result in op.results]

    def parts(env: list) -> Iterator:
        values = [env[slot] for slot in initial]
        for index in steps(env[lower], env[upper], env[step_size]):
            env[induction] = index
            _assign(env, carried, values)
            yield body
            values = [env[slot] for slot in yielded]
        _assign(env, results, values)

    step = driven(parts, body)
    return step if waits(step) else all_at_once(translator, op, body, step)


@handles("scf.while")
def while_loop(translator, op: Op):
    """Given up after 100,000 iterations."""
    if is_scalar(op):
        return written(translator, op)
    initial = [translator.slot(operand) for operand in op.operands]
    before, after = (region.block for region in op.regions)
    tested = [translator.slot(argument) for argument in before.args]
    passed = [translator.slot(argument) for argument in after.args]
    test = translator.block(before, LOOP_OVERHEAD, op)
    body = translator.block(after)
    condition, *forwarded = (translator.slot(operand) for operand in before.last_op.operands)
    yielded = [translator.slot(operand) for operand in after.last_op.operands]
    results = [translator.slot(result) for result in op.results]

    def parts(env: list) -> Iterator:
        values = [env[slot] for slot in initial]
        for _ in range(MAX_ITERATIONS):
            _assign(env, tested, values)
            yield test
            values = [env[slot] for slot in forwarded]
            if not env[condition]:
                break
            _assign(env, passed, values)
            yield body
            values = [env[slot] for slot in yielded]
        else:
            endless()
        _assign(env, results, values)

    return driven(parts, test, body)


@handles("scf.if")
def branch(translator, op: Op):
    """With or without values."""
    condition = translator.slot(op.operands[0])
    results = [translator.slot(result) for result in op.results]
    branches = []
    for region in op.regions:
        block = region.blocks.first
        if block is None or block.last_op is None:
            branches.append((None, ()))
        else:
            body = translator.block(block, 1, op)
            branches.append((body, [translator.slot(operand) for operand in block.last_op.operands]))
    (then, then_values), (otherwise, otherwise_values) = branches

    def parts(env: list) -> Iterator:
        body, values = (then, then_values) if env[condition] else (otherwise, otherwise_values)
        if body is not None:
            yield body
            for slot, value in zip(results, values, strict=True):
                env[slot] = env[value]

    return driven(parts, then, otherwise)


@handles("scf.yield", "scf.condition", "func.return")
def terminator(translator, op: Op):
    """The operation that holds the block reads the operands."""
