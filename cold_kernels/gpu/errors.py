"""What can go wrong where a kernel is compiled for a GPU that is not there."""


class GpuError(RuntimeError):
    """Upstream Triton is missing, refuses a kernel, or makes a program that does not fit the GPU."""
