"""The cases that the BGMV kernels are tuned for unless told otherwise."""

LLAMA_2_7B_DECODING = tuple(
    f"T={rows} H={hidden} R={rank} idx={idx}"
    for hidden in (4096, 11008)
    for rank in (16, 64)
    for rows, idx in ((8, "all"), (32, "all"), (16, "half"), (64, "half"))
)
"""8 and 32 requests, and 8 and 32 as CoLD's doubled batch: half the rows with an adapter, half without."""
