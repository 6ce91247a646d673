"""The operators: arguments checked, then the CPU path or a launch of the tuned kernel."""

from .contrastive import contrastive_argmax, contrastive_score  # noqa: F401
from .cores import lora_on_cube_from  # noqa: F401
from .fused import bgmv_shrink_expand  # noqa: F401
from .lora import bgmv_expand, bgmv_expand_slice, bgmv_shrink  # noqa: F401
from .prefill import sgmv_expand, sgmv_expand_slice, sgmv_shrink  # noqa: F401
from .row_order import lora_row_order  # noqa: F401
from .sample import contrastive_sample  # noqa: F401
