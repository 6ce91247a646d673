"""triton-ascend's backend with another last stage: HIVM for the simulator, where a device takes machine code."""

import hashlib
import json
import os
from dataclasses import fields

from triton.backends import backends
from triton.backends.ascend.compiler import NPUOptions, _parse_linalg_metadata

from ...ascend.bishengir import Compiler
from ...ascend.errors import CompilationFailed
from ...ascend.installation import find_toolchain
from ...ascend.options import CompileOptions
from ...ascend.program import without_locations
from ...code_digest import code_digest
from ..session import current

SECONDS = 120.0
"""For each of the compiler's processes."""
ONLY_950 = ("force_simt_only", "force_simt_template", "compile_on_910_95")
_Stock = backends["ascend"].compiler


class SimulatedBackend(_Stock):
    """What `triton.compile` asks; options are taken as triton-ascend takes them."""

    def add_stages(self, stages, options) -> None:
        """triton-ascend's stages, the last of which gives HIVM in generic form, as UTF-8."""
        for name in ONLY_950:
            if getattr(options, name):
                raise ValueError(f"{name}=True is for Ascend 950; {self.target.arch} has no such units")
        super().add_stages(stages, options)
        stages["npubin"] = lambda linalg, metadata: compile_hivm(linalg, metadata, self.target.arch, options).encode()

    def hash(self) -> str:
        """Part of the key of Triton's cache on disk: a real device's programs are others."""
        versions = json.dumps(find_toolchain().versions)
        return f"simulated {self.target} {versions} {_blockified()} {code_digest('cold_kernels.ascend.bishengir')}"


def _blockified() -> bool:
    return os.environ.get("TRITON_ALL_BLOCKS_PARALLEL", "false").lower() in ("true", "1")


def compile_options(options: NPUOptions) -> CompileOptions:
    """The switches of a launch's options.

    Raises:
        ValueError: a value that the compiler does not take.
    """
    words = {"multi_buffer": "multibuffer"}
    known = {field.name: getattr(options, words.get(field.name, field.name), None) for field in fields(CompileOptions)}
    chosen = {name: value for name, value in known.items() if value is not None}
    return CompileOptions(**chosen | {"all_blocks_parallel": _blockified()})


def compile_hivm(linalg: str, metadata: dict, chip: str, options: NPUOptions) -> str:
    """Linalg to HIVM; ``metadata`` gets what triton-ascend notes of a kernel.

    Raises:
        CompilationFailed: the compiler refuses it, or gave two programs for one kernel where that is looked for.
    """
    _, metadata = _parse_linalg_metadata(linalg, metadata)
    name = metadata["kernel_name"]
    compiler = Compiler(find_toolchain(), name, SECONDS)
    chosen = compile_options(options)
    bind = options.enable_auto_bind_sub_block is not False
    metadata["compile_options"] = chosen.chosen()
    with current().compiling(name):
        hivm = compiler.compile(linalg, chip, chosen, bind_sub_blocks=bind)
        if current().settings.compile_twice:
            again = compiler.compile(linalg, chip, chosen, bind_sub_blocks=bind)
            digests = [hashlib.sha256(without_locations(text).encode()).hexdigest()[:12] for text in (hivm, again)]
            if digests[0] != digests[1]:
                message = f"two compilations of one Linalg module differ: {digests[0]} and {digests[1]}"
                raise CompilationFailed("hivm", [message], name)
    return hivm
