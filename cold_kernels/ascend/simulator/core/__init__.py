"""A vector core: its memory, the operations of a compiled program, and numbers in the widths that programs name."""
