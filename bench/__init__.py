"""Benchmarks: what takes time on this machine, always beside what it is compared with, in one run."""
