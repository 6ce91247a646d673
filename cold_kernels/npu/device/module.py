"""`torch.npu`, as far as kernels and their tests use it."""

import functools
import types
from contextlib import contextmanager

import torch

from ...ascend.chips import Chip
from . import generators
from .memory import allocations
from .streams import Event, Stream, current_stream

HBM_BYTES = {"Ascend910B4": 32 << 30}
"""Global memory of the chips that have not the usual 64 GiB (quoted per SKU, as clock and bandwidth are)."""
SOC_VERSIONS = {
    "Ascend910B1": 220,
    "Ascend910B2": 221,
    "Ascend910B2C": 222,
    "Ascend910B3": 223,
    "Ascend910B4": 224,
    "Ascend910B4-1": 225,
    "Ascend910_9391": 250,
    "Ascend910_9392": 251,
    "Ascend910_9381": 252,
    "Ascend910_9382": 253,
    "Ascend910_9372": 254,
    "Ascend910_9362": 255,
}
"""CANN's numbers of the chips, as ``torch_npu.npu.get_soc_version`` gives them (github Ascend/pytorch, enum SocVersion
in torch_npu/csrc/core/npu/NpuVariables.h)."""


def _only_one(device=None) -> int:
    index = device if isinstance(device, int) else torch.device(device).index if device is not None else 0
    if index not in (0, None):
        raise RuntimeError(f"invalid device ordinal {index}: one NPU is simulated, npu:0")
    return 0


@contextmanager
def _on(device=None):
    _only_one(device)
    yield


def _refused(name: str, why: str):
    class Refused:
        def __init__(self, *_, **__):
            raise NotImplementedError(f"torch.npu.{name} is not simulated: {why}")

    return Refused


def device_module(chip: Chip) -> types.ModuleType:
    """A module with the functions of `torch.npu` for one device of a chip."""
    module = types.ModuleType("torch.npu", __doc__)
    hbm = HBM_BYTES.get(chip.name, 64 << 30)
    properties = types.SimpleNamespace(
        name=chip.name,
        total_memory=hbm,
        multi_processor_count=chip.cube_cores,
        cube_core_num=chip.cube_cores,
        vector_core_num=chip.vector_cores,
        L2_cache_size=chip.l2_bytes,
        major=0,
        minor=0,
    )

    def nothing(*_, **__):
        return None

    def seed(value: int) -> None:
        generators.default.manual_seed(value)

    def free_and_total(device=None) -> tuple[int, int]:
        return hbm - allocations.bytes(), hbm

    def used(device=None) -> int:
        return allocations.bytes()

    module.__dict__.update(
        is_available=lambda: True,
        is_initialized=lambda: True,
        init=nothing,
        _lazy_init=nothing,
        _is_in_bad_fork=lambda: False,
        device_count=lambda: 1,
        current_device=lambda: 0,
        set_device=_only_one,
        device=_on,
        device_of=_on,
        synchronize=nothing,
        Stream=Stream,
        Event=Event,
        ExternalStream=Stream,
        ExternalEvent=Event,
        stream=lambda stream=None: stream or current_stream(),
        set_stream=nothing,
        current_stream=current_stream,
        default_stream=current_stream,
        get_device_name=lambda device=None: chip.name,
        get_device_properties=lambda device=None: properties,
        get_device_capability=lambda device=None: None,
        get_soc_version=lambda: SOC_VERSIONS[chip.name],
        manual_seed=seed,
        manual_seed_all=seed,
        seed=generators.default.seed,
        seed_all=generators.default.seed,
        initial_seed=generators.default.initial_seed,
        default_generators=(generators.default,),
        get_rng_state=lambda device="npu": generators.default.get_state(),
        set_rng_state=lambda state, device="npu": generators.default.set_state(state),
        get_rng_state_all=lambda: [generators.default.get_state()],
        set_rng_state_all=lambda states: generators.default.set_state(states[0]),
        mem_get_info=free_and_total,
        memory_allocated=used,
        max_memory_allocated=used,
        memory_reserved=used,
        max_memory_reserved=used,
        memory_stats=lambda device=None: {},
        empty_cache=nothing,
        reset_peak_memory_stats=nothing,
        reset_max_memory_allocated=nothing,
        is_bf16_supported=lambda *_: True,
        get_amp_supported_dtype=lambda: [torch.float16, torch.bfloat16],
        is_current_stream_capturing=lambda: False,
        set_compile_mode=nothing,
        set_option=nothing,
        set_op_timeout_ms=nothing,
        NPUGraph=_refused("NPUGraph", "launches return when they are done, and there is no queue to record"),
        graph=_refused("graph", "launches return when they are done, and there is no queue to record"),
        config=types.SimpleNamespace(allow_internal_format=False),
        matmul=types.SimpleNamespace(allow_hf32=False),
        conv=types.SimpleNamespace(allow_hf32=False),
        utils=types.SimpleNamespace(
            set_device=_only_one, is_support_inf_nan=lambda: True, npu_check_overflow=lambda *_: False
        ),
        amp=types.SimpleNamespace(
            custom_fwd=functools.partial(torch.amp.custom_fwd, device_type="npu"),
            custom_bwd=functools.partial(torch.amp.custom_bwd, device_type="npu"),
            autocast=functools.partial(torch.autocast, "npu"),
        ),
    )
    return module
