import pytest

pytest.register_assert_rewrite("tests.every_kernel")
