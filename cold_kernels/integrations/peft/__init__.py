"""PEFT's mixed batches by the operators: what `attach` puts under ``adapter_names``, and `detach` takes back."""

from .attach import Attached, attach, detach  # noqa: F401
