"""What all tests share: none of them sees the tables of whoever runs them."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def no_tables_of_the_user(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLD_KERNELS_TABLES", str(tmp_path_factory.mktemp("tables")))
        yield
