"""Loops and branches."""

from ..errors import UnsupportedProgram
from .operations import Op, handles

LOOP_OVERHEAD = 2
"""Scalar operations of a loop per iteration: add and branch."""


def _assign(env: list, slots: list[int], values: list) -> None:
    for slot, value in zip(slots, values, strict=True):
        env[slot] = value


@handles("scf.for")
def loop(translator, op: Op):
    lower, upper, step_size = (translator.slot(operand) for operand in op.operands[:3])
    initial = [translator.slot(operand) for operand in op.operands[3:]]
    block = op.regions[0].block
    induction, *carried = (translator.slot(argument) for argument in block.args)
    body = translator.block(block, LOOP_OVERHEAD)
    yielded = [translator.slot(operand) for operand in block.last_op.operands]
    results = [translator.slot(result) for result in op.results]

    def step(env: list) -> None:
        values = [env[slot] for slot in initial]
        if env[step_size] <= 0:
            raise UnsupportedProgram(f"a loop with step {env[step_size]} does not end")
        for index in range(env[lower], env[upper], env[step_size]):
            env[induction] = index
            _assign(env, carried, values)
            body(env)
            values = [env[slot] for slot in yielded]
        _assign(env, results, values)

    return step


@handles("scf.while")
def while_loop(translator, op: Op):
    initial = [translator.slot(operand) for operand in op.operands]
    before, after = (region.block for region in op.regions)
    tested = [translator.slot(argument) for argument in before.args]
    passed = [translator.slot(argument) for argument in after.args]
    test = translator.block(before, LOOP_OVERHEAD)
    body = translator.block(after)
    condition, *forwarded = (translator.slot(operand) for operand in before.last_op.operands)
    yielded = [translator.slot(operand) for operand in after.last_op.operands]
    results = [translator.slot(result) for result in op.results]

    def step(env: list) -> None:
        values = [env[slot] for slot in initial]
        while True:
            _assign(env, tested, values)
            test(env)
            values = [env[slot] for slot in forwarded]
            if not env[condition]:
                break
            _assign(env, passed, values)
            body(env)
            values = [env[slot] for slot in yielded]
        _assign(env, results, values)

    return step


@handles("scf.if")
def branch(translator, op: Op):
    condition = translator.slot(op.operands[0])
    results = [translator.slot(result) for result in op.results]
    branches = []
    for region in op.regions:
        block = region.blocks.first
        if block is None or block.last_op is None:
            branches.append((None, ()))
        else:
            body = translator.block(block, 1)
            branches.append((body, [translator.slot(operand) for operand in block.last_op.operands]))
    (then, then_values), (otherwise, otherwise_values) = branches

    def step(env: list) -> None:
        body, values = (then, then_values) if env[condition] else (otherwise, otherwise_values)
        if body is not None:
            body(env)
            for slot, value in zip(results, values, strict=True):
                env[slot] = env[value]

    return step


@handles("scf.yield", "scf.condition", "func.return")
def terminator(translator, op: Op):
    """The operation that holds the block reads the operands."""
