"""The environment of engines on a machine without an accelerator; without vLLM nothing here is collected."""

import os
from importlib.util import find_spec

import pytest

collect_ignore_glob = [] if find_spec("vllm") else ["test_*.py"]
os.environ.update(COLD_KERNELS_VLLM="1", VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_LOGGING_LEVEL="WARNING")
for name, value in dict(VLLM_CPU_KVCACHE_SPACE="1", VLLM_CPU_OMP_THREADS_BIND="nobind", OMP_NUM_THREADS="1").items():
    os.environ.setdefault(name, value)


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    from .served import served

    return served(tmp_path_factory.mktemp("served"))
