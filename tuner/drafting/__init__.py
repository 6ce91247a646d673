"""A spec for a kernel that has none, from launches of it that were recorded on the simulated NPU."""
