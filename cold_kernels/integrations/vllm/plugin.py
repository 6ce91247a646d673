"""What the plugin puts in place of vLLM's: the platform's LoRA wrapper, and how a layer gets it."""

import warnings

import vllm
from vllm.platforms import current_platform

from . import versions
from .names import FACTORY, SWITCH

_own: dict[str, str] = {}


def install() -> None:
    """Have the platform make our LoRA wrapper; once in a process, however often it is called.

    A release that is not known keeps vLLM's own wrapper, with a warning.
    """
    if is_installed():
        return
    if not versions.wrapped(vllm.__version__):
        known = ", ".join(sorted(versions.RUN + versions.READ))
        warnings.warn(
            f"{SWITCH}: vLLM {vllm.__version__} is not known to cold_kernels ({known} are), so LoRA stays vLLM's own",
            stacklevel=2,
        )
        return
    try:
        _own["wrapper"] = current_platform.get_punica_wrapper()
    except NotImplementedError:  # a platform without LoRA says so itself where LoRA is asked for
        return
    type(current_platform).get_punica_wrapper = classmethod(_factory)


def _factory(platform: type) -> str:
    return FACTORY


def is_installed() -> bool:
    """Whether this process computes LoRA with the operators."""
    return bool(_own)


def own_wrapper() -> str:
    """The qualified name of the platform's own wrapper."""
    return _own["wrapper"]
