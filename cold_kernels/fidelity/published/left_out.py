"""Published times of vector kernels that are not rows."""

LEFT_OUT = {
    "Add, scalar, 1 core, 1239689.1 us": "Triton has no loop over single elements of a loaded tile that reads and "
    "writes the unified buffer; its 34 cycles an element bound `scalar_local`",
    "Add, L2 bypass, 187.68 and 184.52 us": "loads that allocate nothing in the second-level cache; Triton has no word",
    "DataCopy by all cores from one matrix, 539.42 and 328.88 us": "the same bypass, with conflicts on an address",
    "DataCopy to L1, five rows": "the cube core's memory",
    "ND to NZ with bank conflicts, 151.42 us": "where a buffer lies is the compiler's choice",
    "ascend-rs, FlagGems, Liger and eager torch times": "wall times with the host in them, or kernels that are not "
    "published with them",
}
"""What was published, and the reason why it is no row."""
