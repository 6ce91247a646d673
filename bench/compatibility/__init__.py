"""Other repositories' tests on the simulated NPU."""
