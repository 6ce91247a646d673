"""The exact gate for GPUs: registers, shared memory and occupancy are those accepted; spills and overflows fail.

No GPU is needed, but upstream Triton, of a release that was accepted: `tests/test_gpu_ahead.py` runs this with each, in
processes of their own.
"""

import pytest

pytest.importorskip("triton")
from tuner.gate.difference import difference

from ..exact.accepted import read
from .cases import ACCEPTED, ON_GPUS, cells, counted, release

CELLS = cells()
ACCEPT = 'python -m bench accept-gpu --reason "..."'


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.spec.name},{cell}".replace(" ", ","))
def test_compiled_as_accepted(cell):
    before = read(release(), cell.spec.name, ACCEPTED).get(str(cell))
    if lines := difference(before, counted(cell)):
        pytest.fail(f"{cell.spec.name} on {cell}:\n{lines}\nIf that is meant: {ACCEPT}", pytrace=False)


@pytest.mark.parametrize("kernel", ON_GPUS)
def test_nothing_accepted_goes_uncounted(kernel):
    gone = read(release(), kernel, ACCEPTED).keys() - {str(cell) for cell in CELLS if cell.spec.name == kernel}
    assert not gone, f"accepted, and no longer a case of {kernel}: {', '.join(sorted(gone))}; {ACCEPT}"
