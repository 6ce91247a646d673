"""Two forms of a kernel's text: with what the Ascend compiler needs beside the computation, and without."""

ON_ASCEND = dict(ASCEND=lambda config, shape: 1)
"""What the kernels' parameter ``ASCEND`` is there, and where their text is interpreted: a count of a spec."""
ON_GPUS = dict(ASCEND=lambda config, shape: 0, DEPTH=lambda config, shape: 1)
"""What it is on GPUs. Nothing is hinted there, and there is no ``num_stages`` to choose: upstream Triton pipelines
loops with a product of matrices alone, and these kernels load a tile ahead by themselves."""
