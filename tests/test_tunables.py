import pytest

from cold_kernels.tunables import AutoMultiBuffer, Choice, PipelineDepth, PowerOf2


def test_power_of_2_holds_both_ends():
    assert PowerOf2(4, 32, default=8).values == (4, 8, 16, 32)
    assert PowerOf2(1, 1, default=1).values == (1,)


@pytest.mark.parametrize("low, high", [(3, 8), (4, 12), (8, 4), (0, 4), (-2, 4)])
def test_power_of_2_refuses(low, high):
    with pytest.raises(ValueError, match=f"not {low} and {high}"):
        PowerOf2(low, high, default=4)


def test_default_must_be_a_value():
    with pytest.raises(ValueError, match=r"default 3 is none of the values \(1, 2, 4\)"):
        Choice(1, 2, 4, default=3)
    with pytest.raises(ValueError, match="default 64"):
        PowerOf2(1, 32, default=64)
    with pytest.raises(ValueError, match="default 0"):
        PipelineDepth(upto=4, default=0)


def test_first_choice_is_the_default_unless_named():
    assert Choice("b", "a").default == "b"
    assert Choice(True, False, default=False).default is False


@pytest.mark.parametrize("backend", ["ascend", "cuda", "interpreter"])
def test_choice_is_a_constant_everywhere(backend):
    choice = PowerOf2(1, 8, default=2)
    assert choice.constants("TILE", 4, backend) == {"TILE": 4}
    assert choice.options(4, backend) == {}


def test_depth_is_a_hint_on_ascend_and_stages_on_cuda():
    depth = PipelineDepth(upto=4, default=2)
    assert depth.values == (1, 2, 3, 4)
    assert depth.constants("DEPTH", 3, "ascend") == {"DEPTH": 3} and depth.options(3, "ascend") == {}
    assert depth.constants("DEPTH", 3, "cuda") == {"DEPTH": 1}
    assert depth.options(3, "cuda") == {"num_stages": 3}
    assert depth.constants("DEPTH", 3, "interpreter") == {"DEPTH": 1}
    assert depth.options(3, "interpreter") == {}


def test_auto_multi_buffer_is_an_option_of_ascend_alone():
    auto = AutoMultiBuffer()
    assert auto.default is True
    assert auto.options(False, "ascend") == {"multibuffer": False}
    for backend in ("cuda", "interpreter"):
        assert auto.options(False, backend) == {} == auto.constants("AUTO", False, backend)
