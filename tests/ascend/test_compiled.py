"""Every registered kernel, compiled for Ascend and simulated."""

import functools

import pytest

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)
pytest.importorskip("hypothesis")

from cold_kernels.ascend import CompileOptions, compile_kernel, simulate
from cold_kernels.ascend.errors import UnifiedBufferOverflow
from tests.every_kernel import EveryKernel, extreme_configs, for_each, tensors


@functools.cache
def compiled(kernel, signature, constants, multi_buffer):
    options = CompileOptions(multi_buffer=multi_buffer)
    return compile_kernel(kernel, dict(signature), dict(constants), options=options)


class Compiled(EveryKernel):
    def run(self, spec, args, config, cores):
        """The simulation of every stage."""
        assert all(violation <= 0 for violation in spec.violations(config, spec.shape_of(args)).values())
        simulations = []
        for call in spec.calls(args, config, "ascend", cores):
            signature, constants, arguments = call.specialized()
            program = compiled(
                call.kernel, tuple(signature.items()), tuple(constants.items()), call.options["multibuffer"]
            )
            simulations.append(simulate(program, list(arguments.values()), call.grid, hazards=True))
            assert simulations[-1].hazards == ()
        return simulations


class TestCompiled(Compiled):
    @for_each("text, configs, dtype", lambda spec: extreme_configs(spec, "ascend"))
    def test_extreme_configurations(self, spec, text, configs, dtype):
        """Of the nearest ones, the first that fits into the unified buffer."""
        args = tensors(spec, f"{text} dtype={dtype}")
        for config in configs:
            try:
                return self.check(spec, args, config=config)
            except UnifiedBufferOverflow as refusal:
                refused = refusal
        raise refused
