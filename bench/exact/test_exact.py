"""The exact gate: counted facts and simulated cycles of every shipped kernel are those that were accepted.

The same on every machine; `counting.facts` says what is counted.
"""

import pytest

pytest.importorskip("triton")
pytest.importorskip("xdsl")
from cold_kernels.ascend.errors import ToolchainMissing
from cold_kernels.devices import interpreting
from cold_kernels.specs import KERNELS
from cold_kernels.tables import shipped_chips
from tuner.gate.cells import counted
from tuner.gate.difference import difference

from .accepted import ACCEPT, read
from .cases import cells

pytestmark = pytest.mark.skipif(interpreting(), reason="TRITON_INTERPRET=1: nothing is compiled")
CELLS = [cell for chip in shipped_chips() for cell in cells(chip)]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.chip}-{cell}".replace(" ", ","))
def test_counted_as_accepted(cell):
    try:
        now = counted(cell)
    except ToolchainMissing as missing:
        pytest.skip(str(missing))
    before = read(cell.chip, cell.spec.name).get(str(cell.case))
    if lines := difference(before, now):
        pytest.fail(f"{cell} on {cell.chip}:\n{lines}\nIf that is meant: {ACCEPT}", pytrace=False)


@pytest.mark.parametrize("chip", shipped_chips())
@pytest.mark.parametrize("kernel", KERNELS)
def test_nothing_accepted_goes_uncounted(kernel, chip):
    mine = {str(cell.case) for cell in CELLS if (cell.spec.name, cell.chip) == (kernel, chip)}
    gone = read(chip, kernel).keys() - mine
    assert not gone, f"accepted, and no longer a case of {kernel}: {', '.join(sorted(gone))}; {ACCEPT}"
