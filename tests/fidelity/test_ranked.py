import pytest

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)
pytest.importorskip("optuna")

from cold_kernels.ascend.machine import ascend_machine
from cold_kernels.cases import Case
from cold_kernels.fidelity.ranked import row_norm, short_rows
from tuner.search.evaluate import Evaluator


@pytest.mark.parametrize("spec", [row_norm, short_rows], ids=lambda spec: spec.name)
def test_a_ranked_kernel_is_right(spec):
    evaluator = Evaluator(spec, ascend_machine("Ascend910B3"))
    for text in spec.hard:
        case = Case.parse(text, spec)
        assert evaluator.wrong(spec.default_for(case.shape()), case) is None
