"""What the LoRA kernels take: declared once, for the kernels' specs and for the checks of their operators."""

from ..arguments import Derived, In, Index, InOut, Out, Scalar, Workspace
from .cube_zeros import zeros_for
from .row_tiles import tiles_of
from .rows import order_of
from .sequences import lengths_of, slots_of

SHRINK = dict(
    x=In("T H", "fp16 bf16 fp32"),
    a=In("L R H", same_dtype="x"),
    y=Out("T R", "fp32"),
    idx=Index("T", "int32 int64", into="L", none=-1),
    scale=Scalar("fp32", default=0.5),
    partial=Workspace("SPLIT_H T R", "fp32"),
)
EXPAND = dict(
    b=In("L H R", "fp16 bf16 fp32"),
    x=In("T R", "fp32 fp16 bf16"),
    y=InOut("T H", "fp16 bf16 fp32", like="b"),
    idx=Index("T", "int32 int64", into="L", none=-1),
    add=Scalar("i1", default=True),
)
SHRINK_EXPAND = dict(
    x=In("T H", "fp16 bf16 fp32"),
    a=In("L S R H", same_dtype="x"),
    b=In("L D R", same_dtype="x"),
    y=InOut("T D", "fp16 bf16 fp32", like="x"),
    idx=Index("T", "int32 int64", into="L", none=-1),
    starts=Index("S", "int32 int64", into="D"),
    order=Derived("M", "int32", derive=lambda args: order_of(args["idx"])),
    scale=Scalar("fp32", default=0.5),
    add=Scalar("i1", default=True),
    low=Workspace("T S SPANS R", "fp32"),
)
SHRINK_EXPAND_TILES = {
    **{name: arg for name, arg in SHRINK_EXPAND.items() if name not in ("order", "scale", "add", "low")},
    "x": In("T H", "fp16 bf16"),
    "tiles": Derived("F N", "int32", derive=lambda args: tiles_of(args["idx"], order_of(args["idx"]))),
    "scale": SHRINK_EXPAND["scale"],
    "add": SHRINK_EXPAND["add"],
}
_SEQUENCES = dict(
    lengths=Derived("N", "int32 int64", derive=lambda args: lengths_of(args["idx"])),
    slots=Derived("N", "int32 int64", derive=lambda args: slots_of(args["idx"])),
)
SHRINK_SEQUENCES = {
    **{name: arg for name, arg in SHRINK.items() if name not in ("scale", "partial")},
    "x": In("T H", "fp16 bf16"),
    **_SEQUENCES,
    "zeros": Derived("Z", "fp16 bf16", derive=lambda args: zeros_for(args["x"])),
    "scale": SHRINK["scale"],
    "scaled": Scalar("i1", default=False),
}
EXPAND_SEQUENCES = {
    **{name: arg for name, arg in EXPAND.items() if name != "add"},
    "b": In("L H R", "fp16 bf16"),
    **_SEQUENCES,
    "add": EXPAND["add"],
}
