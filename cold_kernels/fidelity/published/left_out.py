"""Published times of vector kernels that are not rows."""

LEFT_OUT = {
    "Add, scalar, 1 core, 1239689.1 us": "Triton has no loop over single elements of a loaded tile that reads and "
    "writes the unified buffer; its 34 cycles an element bound `scalar_local`",
    "Add, L2 bypass, 187.68 and 184.52 us": "loads that allocate nothing in the second-level cache; Triton has no word",
    "DataCopy by all cores from one matrix, 539.42 and 328.88 us": "the same bypass, with conflicts on an address",
    "DataCopy to L1, five rows": "the cube core's memory",
    "ND to NZ with bank conflicts, 151.42 us": "where a buffer lies is the compiler's choice",
    "vllm-ascend 8900e3398b (#5918), rope 57.1 to 9 us": "neither tokens nor heads are stated",
    "vllm-ascend #4413, partial rope, 12 us; #14705, top-k and top-p, 4344 to 40800 us": "shapes are not stated, "
    "or the chip is another generation",
    "vllm-ascend #14066, the serial copy a program a request": "the table of its times is not to be had",
    "mojo_opset #363 and #365, the other column": "the sources of those versions are not to be had",
    "FlagGems-vllm #809, #817 and #87, gates, pools, hyperconnections": "neither sources nor tiles are to be had",
    "vllm-ascend 344931832c (#9830), split of q, k, v, 670 to 134 us": "the number of tokens is not stated",
    "vllm-ascend 9c4ab35c9d (#8059), norm and rope, 623 to 395 us": "tokens a launch are not stated",
    "vllm-ascend acbd2bb28d (#13191), the kernels after, 78 to 93 us": "events show the host's time alone",
    "vllm-ascend acbd2bb28d (#13191), 16384 tokens before, 2104 to 2189 us": "twice the row of 8192 tokens in all that "
    "it says, 0.135 us a token, and a minute to simulate; lengths of one are random",
    "vllm-ascend 4335bd2561 (#9601), the AscendC columns": "another kernel, whose dual copies Triton cannot express",
    "FlagGems #5641, nansum": "the benchmark averages over the kernels of a call, and a cast is one of them",
    "FlagGems #6324 and #6424, swiglu; #4903, layer norm; #2162, mean": "tiles are tuned and not published, or the "
    "excerpt that can be had holds no table of device times",
    "FlagGems #6354, top-k": "sorts by instructions that triton-ascend 3.2.0 does not offer for vector cores",
    "FlagGems, mm in eight bits": "two kernels are timed as one, and how its tiles are chosen is not published",
    "PTO, flash attention": "hand-written, and how many heads it ran is not published",
    "triton-ascend, the attention that calibrates its cost model": "which kernel it is, and with what options, is not "
    "published; a plain one of its sizes is predicted at 0.4 of it",
    "FlagGems #5394, pairwise distance": "its benchmark measures calls, 120 us each, and so the host",
    "ascend-rs, Liger and eager torch times": "wall times with the host in them, or kernels that are not published "
    "with them",
}
"""What was published, and the reason why it is no row."""
