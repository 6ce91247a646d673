"""Compiled modules, run as they are written while adapters act in them."""

import contextlib
import threading
from collections.abc import Iterable

import torch
from torch import nn


def eager(modules: Iterable[nn.Module]) -> contextlib.AbstractContextManager:
    """Around a forward pass through these modules: what ``torch.compile`` made of them is left aside.

    Compiled code knows nothing of forward hooks that came later. The compiler's stance is one for the process: what
    other threads have compiled runs as it is written too in the meantime, and is not compiled anew afterwards.
    """
    return _stance if any(map(_is_compiled, modules)) else contextlib.nullcontext()


def _is_compiled(module: nn.Module) -> bool:
    return module._compiled_call_impl is not None or hasattr(module.forward, "_torchdynamo_orig_callable")


class _ForcedEager:
    """Set by the first pass that needs it and taken back by the last one: passes of several models may overlap."""

    def __init__(self) -> None:
        self._lock, self._passes = threading.Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._passes:
                self._set = torch.compiler.set_stance("force_eager")
            self._passes += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._passes -= 1
            if not self._passes:
                self._set.__exit__(None, None, None)


_stance = _ForcedEager()
