"""Why the scalar unit does a vector operation element by element: the reasons that `Work.fallback` may give."""

INT64 = "int64"
"""The vector unit has no such instruction for 64-bit elements."""

TYPE = "type"
"""Nor for these other types, or not for this pair of them."""

STRIDED = "strided"
"""Elements of a row are not beside each other."""

UNALIGNED_ROWS = "unaligned rows"
"""Rows that are no multiple of 32 bytes apart."""

UNALIGNED_START = "unaligned start"
"""An operand does not start at a multiple of 32 bytes."""

ORDER = "order"
"""The library has no instruction for this order of elements."""

SIZE = "size"
"""A size for which the library has no instruction, or the end of the unified buffer."""

REASONS = (INT64, TYPE, STRIDED, UNALIGNED_ROWS, UNALIGNED_START, ORDER, SIZE)
