"""Launches of Triton kernels on the simulated device: triton-ascend's own way, with the simulator for a chip."""
