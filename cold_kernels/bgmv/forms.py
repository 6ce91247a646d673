"""Two forms of a kernel's text: with what the Ascend compiler needs beside the computation, and without."""

ON_ASCEND = dict(ASCEND=lambda config, shape: 1)
"""What the kernels' parameter ``ASCEND`` is there, and where their text is interpreted: a count of a spec."""
ELSEWHERE = dict(ASCEND=lambda config, shape: 0)
"""What it is on GPUs."""
