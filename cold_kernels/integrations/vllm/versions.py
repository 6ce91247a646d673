"""Releases of vLLM for which the LoRA wrapper and the scheduler were written."""

from packaging.version import Version

RUN = ("0.30.0", "0.32.0")
"""The end-to-end tests run in these, in the builds for CPUs."""
READ = ("0.23.0", "0.24.0", "0.25.1", "0.27.1", "0.28.0", "0.29.0", "0.31.0")
"""Their sources were read: the LoRA wrapper's methods are those of the releases that are run."""


def wrapped(version: str) -> bool:
    """Whether the LoRA wrapper fits a release; a local suffix, as of a build for CPUs, does not count."""
    return Version(version).base_version in RUN + READ


def scheduled(version: str) -> bool:
    """Whether the scheduler of pairs fits a release: it rests on what is private to vLLM's own, so only where run."""
    return Version(version).base_version in RUN
