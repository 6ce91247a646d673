"""The kernels on GPUs: what their compiled programs take, held against what was accepted."""
