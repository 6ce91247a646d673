"""What the contrastive kernels take: declared once, for the kernels' specs and for the checks of their operators."""

from ..arguments import In, Out, Workspace
from . import cases, sample_cases

_LOGITS = dict(
    expert=In("B V", "fp16 bf16 fp32", make=cases.expert),
    amateur=In("B V", same_dtype="expert", make=cases.amateur),
)
_BY_ROW = dict(log_alpha=In("B", "fp32", make=cases.log_alpha), beta=In("B", "fp32", make=cases.beta))

SCORE = dict(**_LOGITS, score=Out("B V", "fp32"), **_BY_ROW)
ARGMAX = dict(**_LOGITS, choice=Out("B", "int64"), **_BY_ROW)
SAMPLE = dict(
    **ARGMAX,
    temperature=In("B", "fp32", make=sample_cases.temperature),
    top_k=In("B", "int32", make=sample_cases.top_k),
    top_p=In("B", "fp32", make=sample_cases.top_p),
    uniform=In("B", "fp32", make=sample_cases.uniform),
    top=Workspace("B BLOCKS", "fp32"),
)
