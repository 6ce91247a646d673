"""Kernels as people write them for the vector core, each with a reference: what the simulator must be able to run."""
