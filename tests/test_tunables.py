import pytest

from cold_kernels.ascend.options import CompileOptions
from cold_kernels.tunables import SWITCHES, AutoMultiBuffer, Choice, PipelineDepth, PowerOf2, Switch


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


def test_a_switch_is_left_to_the_compiler_unless_chosen():
    loops = Switch("tile_mix_cube_loop", 2, 4)
    assert loops.values == (None, 2, 4) and loops.default is None
    assert loops.options(None, "ascend") == {} and loops.options(4, "ascend") == {"tile_mix_cube_loop": 4}
    assert loops.options(4, "cuda") == {} == loops.constants("LOOPS", 4, "ascend")
    with pytest.raises(ValueError, match="'tile_mix' is no switch of a launch; there are sync_solver, unit_flag"):
        Switch("tile_mix", 2)


def test_every_switch_reaches_the_compiler():
    for name in SWITCHES:
        value = "no-l0c" if name == "limit_auto_multi_buffer_of_local_buffer" else True
        if name in ("set_workspace_multibuffer", "tile_mix_vector_loop", "tile_mix_cube_loop"):
            value = 2
        options = CompileOptions(**{name: value})
        assert options.launch_arguments()[name] == value and any(str(value) in flag for flag in options.flags())
