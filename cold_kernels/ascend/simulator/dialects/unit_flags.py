"""Unit flags: the multiplication and the way out of L0C order each other by themselves, tile by tile.

The device does so block by block (AscendNPU-IR v1.2.0, bishengir/lib/Template, Cube/LocalMmad.cpp and Fixpipe); here a
tile is one block, so that its way out begins when the whole tile is there.
"""

from collections.abc import Callable

from xdsl.ir import SSAValue

from ..core.operations import Op
from ..trace.events import UNIT, FlagId, SetFlag, WaitFlag
from ..trace.work import FIX, MULTIPLY

WITHOUT_UPDATE, WITH_UPDATE = 2, 3
MODES = {"DISABLED": 0, "ENABLED_WITHOUT_UPDATE": WITHOUT_UPDATE, "ENABLED_WITH_UPDATE": WITH_UPDATE}


def unit_mode(translator, op: Op, conditions: list[SSAValue]) -> Callable[[list], int]:
    """The mode that an operation has when it runs: the first one whose condition holds, 0 for none."""
    named = op.attribute("unit_flag_mode")
    words = [] if named is None else [mode.data if hasattr(mode, "data") else str(mode) for mode in named]
    modes = [next((MODES[name] for name in MODES if f"<{name}>" in word or word == name), None) for word in words]
    if None in modes or (conditions and len(conditions) != len(modes)) or (not conditions and len(modes) > 1):
        raise op.unsupported(f"the unit flags {words}")
    if not modes:
        return lambda env: 0
    if not conditions:
        return lambda env: modes[0]
    slots = [translator.slot(condition) for condition in conditions]
    return lambda env: next((mode for mode, slot in zip(modes, slots, strict=True) if env[slot]), 0)


class Units:
    """What of L0C the multiplication has handed over, and what is out, by address.

    Args:
        op: On whose behalf flags are set and waited for.
        core: Its ``units`` are kept.
        flag: Appends an event.
    """

    def __init__(self, op: Op, core, flag: Callable[[list], None]) -> None:
        self.op, self.core, self.flag = op, core, flag

    def before_product(self, address: int) -> None:
        """The tile's way out is over before it is overwritten."""
        if self.core.units.pop(address, "") == FIX:
            freed = FlagId(FIX, MULTIPLY, UNIT + address)
            self.flag([SetFlag(freed, self.op)])
            self.flag([WaitFlag(freed, self.op)])

    def after_product(self, address: int) -> None:
        self.core.units[address] = MULTIPLY
        self.flag([SetFlag(FlagId(MULTIPLY, FIX, UNIT + address), self.op)])

    def before_way_out(self, address: int) -> None:
        self.flag([WaitFlag(FlagId(MULTIPLY, FIX, UNIT + address), self.op)])
        self.core.units[address] = FIX
