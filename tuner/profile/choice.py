"""The kernel that is simulated: a spec in a configuration, or a function as it is called."""

import argparse

from cold_kernels.ascend.chips import chip_named
from cold_kernels.ascend.machine import ascend_machine
from cold_kernels.cases import Case
from cold_kernels.spec import KernelSpec

from ..dry_run import dry_run
from ..parsing import grid_of, options_of
from .profiled import ProfiledKernel, chosen_config, of_spec, spec_or_function
from .signature import EXAMPLE, bind

Chosen = tuple[ProfiledKernel, ProfiledKernel | None]
"""What is simulated, and what is drawn above it."""


def chosen(arguments: argparse.Namespace) -> Chosen:
    """What `commands.simulate` is asked for.

    Raises:
        ValueError: options that do not go together, or a value that cannot be read.
        ToolchainMissing: the compiler is not installed.
    """
    chip_named(arguments.chip)
    kernel = spec_or_function(arguments.kernel)
    if isinstance(kernel, KernelSpec):
        return _of_spec(kernel, arguments)
    return _of_function(kernel, arguments), None


def _of_spec(spec: KernelSpec, arguments: argparse.Namespace) -> Chosen:
    for option in ("signature", "grid", "options"):
        if getattr(arguments, option) is not None:
            raise ValueError(
                f"{arguments.kernel} is a spec: --{option} is for a function without one; use --shape and --config"
            )
    case = Case.parse(arguments.shape or "", spec)
    dry_run(spec, case, chip_named(arguments.chip).vector_cores)
    config, reason = chosen_config(spec, case, chip_named(arguments.chip).name, arguments.config)
    illegal = [
        f"{name} = {violation} > 0"
        for name, violation in spec.violations(config, case.shape()).items()
        if violation > 0
    ]
    if illegal:
        raise ValueError(f"{config} is not legal for {case}: {', '.join(illegal)}; python -m tuner explain says more")
    machine = ascend_machine(arguments.chip)
    chosen = of_spec(spec, case, machine, config, reason)
    by_hand = spec.default_for(case.shape())
    if arguments.config or by_hand == config:
        return chosen, None
    return chosen, of_spec(spec, case, machine, by_hand, "default")


def _of_function(kernel, arguments: argparse.Namespace) -> ProfiledKernel:
    for option in ("shape", "config"):
        if getattr(arguments, option) is not None:
            raise ValueError(
                f"{arguments.kernel} is a function without a spec: --{option} is for specs; use --signature and --grid"
            )
    for option, example in (("signature", f'"{EXAMPLE}"'), ("grid", "40")):
        if getattr(arguments, option) is None:
            raise ValueError(f"{arguments.kernel} is a function without a spec: give --{option} {example}")
    options = options_of(arguments.options or "").chosen()
    call = bind(kernel, arguments.signature, grid_of(arguments.grid), options)
    return ProfiledKernel(kernel.__name__, ascend_machine(arguments.chip), lambda: [call])
