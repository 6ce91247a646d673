"""A LoRA backend of SGLang that runs these operators, asked for by ``--lora-backend cold_kernels``.

Written against the source in the wheels of `READ_VERSIONS`, without SGLang being run. `plugin` is what SGLang loads,
`backend` the class that it makes, `batches` what that prepares; `rows` and `products` know nothing of SGLang.
"""

NAME = "cold_kernels"
"""Of the backend, on SGLang's command line and in its registry."""
READ_VERSIONS = ("0.5.23",)
"""Versions of SGLang whose source was read."""
