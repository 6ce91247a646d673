"""LoRA kernels for Ascend NPUs: batched gather matrix-vector products, tuned with or without a device."""

from importlib import import_module

_HOMES = {"bgmv_shrink": "ops"}

__all__ = sorted(_HOMES)


def __getattr__(name: str):
    # Late, so that a tool that only looks at the installation does not wait for torch.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
