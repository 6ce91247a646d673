"""`torch.save` and `torch.load` of tensors of the simulated device."""

import torch

from .memory import allocated


def _location(storage: torch.UntypedStorage) -> str | None:
    return "npu:0" if storage.device.type == "npu" else None


def _restored(storage: torch.UntypedStorage, location: str) -> torch.UntypedStorage | None:
    if not location.startswith("npu"):
        return None
    data = torch.empty(0, dtype=torch.uint8).set_(storage).clone()
    return allocated(data).untyped_storage()


def register() -> None:
    """Let torch's serialization know the device, before its own way with others (23; no two share a number)."""
    torch.serialization.register_package(19, _location, _restored)
