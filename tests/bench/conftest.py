import pytest

from cold_kernels.devices import interpreting


@pytest.fixture(scope="session")
def compiler():
    """Skips the test where nothing can be compiled."""
    if interpreting():
        pytest.skip("TRITON_INTERPRET=1: nothing is compiled")
    pytest.importorskip("xdsl")
    from cold_kernels.ascend.errors import ToolchainMissing
    from cold_kernels.ascend.toolchain import find_toolchain

    try:
        find_toolchain()
    except ToolchainMissing as missing:
        pytest.skip(str(missing))
