"""The compiler switches that a launch on a device can set, under the names that triton-ascend gives them."""

from dataclasses import dataclass, fields

_FLAGS = {
    "multi_buffer": "--enable-auto-multi-buffer",
    "sync_solver": "--enable-hivm-graph-sync-solver",
    "unit_flag": "--enable-hivm-unit-flag-sync",
    "inject_barrier_all": "--enable-hivm-inject-barrier-all-sync",
    "inject_block_all": "--enable-hivm-inject-block-all-sync",
    "disable_auto_inject_block_sync": "--disable-auto-inject-block-sync",
    "limit_auto_multi_buffer_only_for_local_buffer": "--limit-auto-multi-buffer-only-for-local-buffer",
    "limit_auto_multi_buffer_of_local_buffer": "--limit-auto-multi-buffer-of-local-buffer",
    "set_workspace_multibuffer": "--set-workspace-multibuffer",
    "enable_hivm_auto_cv_balance": "--enable-hivm-auto-cv-balance",
    "tile_mix_vector_loop": "--tile-mix-vector-loop",
    "tile_mix_cube_loop": "--tile-mix-cube-loop",
}
_COUNTS = {"set_workspace_multibuffer", "tile_mix_vector_loop", "tile_mix_cube_loop"}
_CHOICES = {"limit_auto_multi_buffer_of_local_buffer": ("no-limit", "no-l0c")}


@dataclass(frozen=True)
class CompileOptions:
    """Switches of the HIVM pipeline; None leaves one to the compiler.

    Raises:
        ValueError: A value of the wrong kind; names the field, and what it takes.
    """

    multi_buffer: bool = True
    """Double-buffer the loads in loops."""
    sync_solver: bool | None = None
    """Place set_flag and wait_flag by solving a graph rather than by the older pass."""
    unit_flag: bool | None = None
    """Let the cube core and its way out synchronise tile by tile; vector kernels do not change."""
    inject_barrier_all: bool | None = None
    """A barrier of all pipes wherever one needs another: slow, and a check on missing synchronisation."""
    inject_block_all: bool | None = None
    """The same between the cores of a mixed kernel."""
    disable_auto_inject_block_sync: bool | None = None
    limit_auto_multi_buffer_only_for_local_buffer: bool | None = None
    """Keep automatic multi-buffering away from the workspace of mixed kernels."""
    limit_auto_multi_buffer_of_local_buffer: str | None = None
    """"no-limit", or "no-l0c": not for the cube's accumulator."""
    set_workspace_multibuffer: int | None = None
    enable_hivm_auto_cv_balance: bool | None = None
    tile_mix_vector_loop: int | None = None
    tile_mix_cube_loop: int | None = None
    all_blocks_parallel: bool = False
    """Loop over the grid on each core; a launch does so by TRITON_ALL_BLOCKS_PARALLEL=1, no argument."""

    def __post_init__(self):
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            if value is None and field.default is None:
                continue
            if name in _COUNTS:
                good = isinstance(value, int) and not isinstance(value, bool) and value > 0
                wanted = "a positive integer"
            elif name in _CHOICES:
                good = value in _CHOICES[name]
                wanted = " or ".join(map(repr, _CHOICES[name]))
            else:
                good = isinstance(value, bool)
                wanted = "True or False"
            if not good:
                raise ValueError(f"{name}={value!r}: {wanted} is wanted")

    def chosen(self) -> dict[str, bool | int | str]:
        """The fields that are not left to the compiler."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def flags(self) -> list[str]:
        """What triton-ascend's driver would pass to bishengir-compile for these."""
        flags = [f"{_FLAGS[name]}={value}" for name, value in self.chosen().items() if name in _FLAGS]
        return flags + ["--enable-auto-blockify-loop"] * self.all_blocks_parallel

    def launch_arguments(self) -> dict[str, bool | int | str]:
        """The keyword arguments that give a launch on a device the same switches."""
        chosen = self.chosen()
        chosen.pop("all_blocks_parallel")
        chosen["multibuffer"] = chosen.pop("multi_buffer")
        return chosen
