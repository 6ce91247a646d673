import errno
import os
import re
import stat
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from cold_kernels.ascend import CompileOptions, compile_kernel, toolchain
from cold_kernels.ascend.bishengir import Compiler, driver_flags
from cold_kernels.ascend.cache import cache_folder
from cold_kernels.ascend.chips import CHIPS
from cold_kernels.ascend.errors import (
    CompilationFailed,
    CompilerDied,
    ToolchainMissing,
    UnifiedBufferOverflow,
    UnsupportedProgram,
)
from cold_kernels.ascend.frontend import PACKAGE_ROOT, frontend
from cold_kernels.ascend.installation import find_toolchain, mixed_triton, toolchain_problem, triton_backends
from cold_kernels.ascend.program import without_locations
from cold_kernels.ascend.simulator.core.operations import Op

pytestmark = pytest.mark.skipif(toolchain_problem() is not None, reason=str(toolchain_problem()))
if toolchain_problem() is None:
    from tests.kernels import add_offset, matmul, unknown_name

ADD = {"x_ptr": "*fp16", "y_ptr": "*fp16", "n": "i32", "stride": "i32"}
MATMUL = {"a_ptr": "*fp16", "b_ptr": "*fp16", "c_ptr": "*fp32", "K": "i32"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COLD_KERNELS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def compile_add(tile=1024, **others):
    return compile_kernel(add_offset, ADD, {"TILE": tile}, **others)


def test_vector_program():
    program = compile_add()
    assert program.core_type == "AIV" and program.entry.sym_name.data == "add_offset"
    assert list(program.signature) == ["x_ptr", "y_ptr", "n", "stride"]
    # base address, lock, workspace, the run-time arguments, the grid
    assert len(program.entry.body.block.args) == 3 + 4 + 3
    assert program.versions.keys() == {"triton-ascend", "ascendnpu-ir"}


def test_operations_carry_their_source_line():
    program = compile_add()
    file = Path(add_offset.fn.__code__.co_filename)
    lines = file.read_text().splitlines()
    loads = [op.location for op in map(Op, program.entry.walk()) if op.name == "hivm.hir.load"]
    assert loads
    for place in loads:
        where, _, line = place.rpartition(":")
        assert where == str(file) and "tl.load" in lines[int(line) - 1]
    assert "dump.mlir" not in program.hivm


def test_mixed_program():
    program = compile_kernel(matmul, MATMUL, {"M": 32, "N": 64, "TILE_K": 128})
    assert program.core_type == "MIX" and set(program.functions) == {"AIC", "AIV"}
    with pytest.raises(UnsupportedProgram, match="matmul_mix_aic, matmul_mix_aiv"):
        program.entry


@pytest.mark.parametrize("chip", CHIPS)
def test_every_chip(chip):
    vector_cores = 48 if re.search(r"B1|B2|93[89]", chip) else 40
    assert f'"VECTOR_CORE_COUNT", {vector_cores} : i32' in compile_add(chip=chip).hivm


def test_unified_buffer_overflow_is_kept(cache):
    frontend.stop()
    for _ in range(2):
        with pytest.raises(UnifiedBufferOverflow, match="add_offset needs .* 192.0 KiB are there") as caught:
            compile_add(tile=1 << 18)
        assert caught.value.stage == "hivm"
        assert caught.value.required_bits > caught.value.available_bits == 192 * 8192
        frontend.stop()
    assert len(list(cache.rglob("*.json"))) == 1


def test_front_end_error_shows_the_line():
    with pytest.raises(CompilationFailed, match="this_name_is_defined_nowhere is not defined") as caught:
        compile_kernel(unknown_name, {"x_ptr": "*fp16"}, {"TILE": 64})
    assert caught.value.stage == "frontend" and "^" in caught.value.diagnostics[0]


@pytest.mark.parametrize(
    "signature, constants, attrs, message",
    [
        (ADD, {}, None, "'TILE' of add_offset .* give a value in constants"),
        ({"x_ptr": "*fp16"}, {"TILE": 4}, None, "'y_ptr' of add_offset .* give a type in signature"),
        ({**ADD, "m": "i32"}, {"TILE": 4}, None, "signature names 'm'.*takes x_ptr, y_ptr"),
        (ADD, {"TILE": 4, "m": 1}, None, "constants names 'm'"),
        ({**ADD, "n": "int32"}, {"TILE": 4}, None, "'n' has the unknown type 'int32'"),
        ({**ADD, "x_ptr": "*fp17"}, {"TILE": 4}, None, r"unknown type '\*fp17'"),
        (ADD, {"TILE": [4]}, None, r"'TILE' is \[4\]"),
        (ADD, {"TILE": 4, "n": 1}, None, "'n' is in the signature and in the constants"),
        ({**ADD, "TILE": "i32"}, {}, None, "'TILE' is a tl.constexpr"),
        (ADD, {"TILE": 4}, {"n": 8}, r"attrs\['n'\] = 8"),
        (ADD, {"TILE": 4}, {"x_ptr": 1}, r"attrs\['x_ptr'\] = 1"),
    ],
)
def test_bad_arguments_start_nothing(signature, constants, attrs, message):
    frontend.stop()
    with pytest.raises(ValueError, match=message):
        compile_kernel(add_offset, signature, constants, attrs=attrs)
    assert frontend.pid is None


def test_unknown_chip():
    with pytest.raises(ValueError, match="unknown chip '910B3'; use one of Ascend910B1, "):
        compile_add(chip="910B3")


def test_kernel_inside_a_function():
    def inner(x_ptr):
        pass

    with pytest.raises(ValueError, match="inner is defined inside a function"):
        compile_kernel(inner, {"x_ptr": "*fp16"}, {})


def test_signature_in_any_order_compiles_to_the_kernels_order():
    backwards = compile_kernel(add_offset, dict(reversed(ADD.items())), {"TILE": 1024})
    assert backwards.hivm == compile_add().hivm


def test_divisibility_changes_no_operation():
    def operations(program):
        return [op.name if op.name != "builtin.unregistered" else op.op_name.data for op in program.module.walk()]

    plain, promised = compile_add(), compile_add(attrs={"x_ptr": 16, "y_ptr": 16, "n": 16})
    assert operations(plain) == operations(promised)
    assert "tt.divisibility" in promised.hivm and "tt.divisibility" not in plain.hivm


def test_argument_equal_to_one_becomes_a_constant():
    promised = compile_add(attrs={"stride": 1})
    assert list(promised.signature) == ["x_ptr", "y_ptr", "n"] and promised.constants["stride"] == 1
    signature = {name: ADD[name] for name in promised.signature}
    assert promised.hivm == compile_kernel(add_offset, signature, {"stride": 1, "TILE": 1024}).hivm
    assert promised.digest != compile_add().digest


@pytest.mark.parametrize(
    "options",
    [
        CompileOptions(),
        CompileOptions(multi_buffer=False, sync_solver=False, unit_flag=True, inject_barrier_all=True),
        CompileOptions(inject_block_all=True, disable_auto_inject_block_sync=True, tile_mix_cube_loop=2),
        CompileOptions(
            limit_auto_multi_buffer_only_for_local_buffer=True,
            limit_auto_multi_buffer_of_local_buffer="no-l0c",
            set_workspace_multibuffer=2,
            enable_hivm_auto_cv_balance=True,
            tile_mix_vector_loop=4,
        ),
        CompileOptions(all_blocks_parallel=True),
    ],
)
def test_flags_are_those_of_a_launch(options, monkeypatch):
    from triton.backends.ascend import compiler
    from triton.backends.compiler import GPUTarget

    class Stop(Exception):
        pass

    def capture(command, **_):
        raise Stop(command)

    monkeypatch.setattr(compiler, "NPUUtils", lambda: SimpleNamespace(get_arch=lambda: "Ascend910B2"))
    monkeypatch.setattr(compiler, "_get_npucompiler_path", lambda: "bishengir-compile")
    monkeypatch.setattr(compiler, "_check_bishengir_api_change", lambda: True)
    monkeypatch.setattr(compiler, "_check_bishengir_is_regbased", lambda: False)
    monkeypatch.setattr(compiler.subprocess, "run", capture)
    monkeypatch.setenv("TRITON_ALL_BLOCKS_PARALLEL", str(options.all_blocks_parallel))
    monkeypatch.delenv("TRITON_DISABLE_LINE_INFO", raising=False)
    launched = compiler.AscendBackend(GPUTarget("npu", "Ascend910B2", 0)).parse_options(options.launch_arguments())
    linalg = 'func.func @f() attributes {parallel_mode = "simd", mix_mode = "aiv"}'
    with pytest.raises(Stop) as stopped:
        compiler.linalg_to_bin_enable_npu_compile_A2_A3(linalg, dict(vars(launched)), launched)
    command = stopped.value.args[0]
    assert sorted(command[2:-2]) == sorted(driver_flags("Ascend910B2", options))


def test_another_compiler_takes_nothing_from_the_cache(monkeypatch):
    compile_add()
    keys = []
    monkeypatch.setattr(toolchain.cache, "load", lambda key: keys.append(key) or CompilationFailed("linalg", [], "add"))
    newer = replace(find_toolchain(), versions=(("triton-ascend", "9.9"), ("ascendnpu-ir", "1.2.0")))
    for found in (find_toolchain(), newer):
        monkeypatch.setattr(toolchain, "find_toolchain", lambda found=found: found)
        with pytest.raises(CompilationFailed):
            compile_add()
    assert keys[0] != keys[1]


def test_locations_do_not_count_for_what_a_device_runs():
    deep = 'a() loc(callsite("f(x).py":1:2 at callsite("g":3:4 at "h":5:6))) b() loc("f.py":1:2)\n'
    assert without_locations(deep) == "a() b()\n"
    assert without_locations('"loc(" : x loc("y":1:2), z') == '"loc(" : x, z'
    assert "loc(" not in without_locations(compile_add().hivm)


def test_options_reach_the_compiler():
    single = CompileOptions(multi_buffer=False, inject_barrier_all=True)
    assert compile_add(options=single).digest != compile_add().digest
    assert single.launch_arguments() == {"multibuffer": False, "inject_barrier_all": True}


@pytest.mark.parametrize("field, value", [("multi_buffer", None), ("unit_flag", 1), ("set_workspace_multibuffer", 0)])
def test_bad_option(field, value):
    with pytest.raises(ValueError, match=f"{field}={value!r}: "):
        CompileOptions(**{field: value})


def test_cache_hit_starts_no_worker_and_imports_no_compiler(monkeypatch):
    first = compile_add()
    frontend.stop()
    with monkeypatch.context() as without:
        for package in ("triton", "xdsl", "xdsl.parser"):
            without.setitem(sys.modules, package, None)
        assert compile_add() == first and frontend.pid is None
    assert compile_add(tile=512) != first and frontend.pid is not None


@pytest.mark.parametrize("spoil", [lambda text: text[: len(text) // 2], lambda text: text.replace("vadd", "vsub")])
def test_broken_cache_entry_is_rewritten(cache, spoil):
    good = compile_add()
    (entry,) = cache.rglob("*.json")
    text = entry.read_text()
    entry.write_text(spoil(text))
    assert entry.read_text() != text
    assert compile_add() == good and entry.read_text() == text


def test_import_brings_no_compiler():
    modules = "toolchain, program, frontend, worker, cache"
    found = "{'triton', 'xdsl'} & set(sys.modules)"
    code = f"import sys; from cold_kernels.ascend import {modules}; print({found})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE_ROOT)
    assert said.stdout == "set()\n", said.stderr


def test_program_without_xdsl(monkeypatch):
    program = compile_add()
    monkeypatch.delitem(sys.modules, "cold_kernels.ascend.parser", raising=False)
    monkeypatch.setitem(sys.modules, "xdsl.parser", None)
    with pytest.raises(ToolchainMissing, match="read with xDSL"):
        program.module


def test_unwritable_cache(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("COLD_KERNELS_CACHE", str(tmp_path / "file"))
    assert compile_add().core_type == "AIV" and cache_folder().is_file()


def test_a_failure_on_a_full_disk_says_nothing_of_the_kernel(cache, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(OSError, match="No space left on device") as caught:
            compile_add(tile=1 << 18)
    assert caught.value.filename == tempfile.gettempdir()
    assert not cache.exists()
    with pytest.raises(UnifiedBufferOverflow):
        compile_add(tile=1 << 18)


DUMP = "// -----// IR Dump Before ConvertHIVMToStandard //\nmodule {{ func.func @{}() {{ return }} }}\n\n"
END = "error: External hivmc run fails, returning module before running external compiler"
OVERFLOW = 'loc("k.py":4:0): error: ub overflow, requires 2000000 bits while 1572864 bits available! (tiles)'


def fake(tmp_path, script: str, timeout: float = 20.0) -> Compiler:
    tool = tmp_path / "bishengir-compile"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    return Compiler(replace(find_toolchain(), bishengir_compile=tool), "kernel", timeout)


def compile_with(compiler: Compiler) -> str:
    return compiler.compile("module {}", "Ascend910B3", CompileOptions())


def saying(text: str, code: int = 1) -> str:
    return f"/bin/cat >&2 <<'EOF'\n{text}\nEOF\nexit {code}"


def test_last_dump_counts(tmp_path):
    said = DUMP.format("first") + DUMP.format("last") + END
    assert '"last"' in (found := compile_with(fake(tmp_path, saying(said)))) and '"first"' not in found


def test_errors_before_a_retry_do_not_count(tmp_path):
    said = f"{OVERFLOW}\n[NOTE] Ub overflow detected; retrying compilation.\n" + DUMP.format("second") + END
    assert '"second"' in compile_with(fake(tmp_path, saying(said)))


def test_any_other_error_counts_even_with_a_dump(tmp_path):
    said = DUMP.format("first") + f"{OVERFLOW}\n" + END
    with pytest.raises(UnifiedBufferOverflow) as caught:
        compile_with(fake(tmp_path, saying(said)))
    assert (caught.value.required_bits, caught.value.available_bits) == (2000000, 1572864)
    assert caught.value.diagnostics == [OVERFLOW]


def test_no_dump_is_a_failure(tmp_path):
    with pytest.raises(CompilationFailed, match="nothing to be seen"):
        compile_with(fake(tmp_path, saying("nothing to be seen", 0)))


@pytest.mark.parametrize("death", ["kill -ABRT $$", "exit 134"])
def test_abort_names_the_signal_and_is_not_kept(tmp_path, death):
    with pytest.raises(CompilerDied, match="bishengir-compile was ended by SIGABRT") as caught:
        compile_with(fake(tmp_path, death))
    assert not caught.value.deterministic


def test_scratch_files_of_the_compiler_go_with_it(tmp_path):
    script = '/bin/mkdir "$TMPDIR/left behind"; echo "error: $TMPDIR/left behind" >&2; exit 1'
    with pytest.raises(CompilationFailed) as caught:
        compile_with(fake(tmp_path, script))
    left = Path(caught.value.diagnostics[0].removeprefix("error: "))
    assert left.name == "left behind" and not left.exists()


def test_compiler_time_out(tmp_path):
    with pytest.raises(CompilerDied, match="the limit is 0.3 s"):
        compile_with(fake(tmp_path, "/bin/sleep 30", timeout=0.3))


def environment(folder: Path, *distributions: str, backends=()) -> list[str]:
    for name in distributions:
        metadata = folder / f"{name.replace('-', '_')}-3.2.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 3.2.0\n")
    for backend in backends:
        (folder / "triton/backends" / backend).mkdir(parents=True)
        (folder / "triton/backends" / backend / "compiler.py").touch()
        (folder / "triton/__init__.py").touch()
    return [str(folder)]


@pytest.mark.parametrize(
    "distributions, backends, message",
    [
        (
            ["triton", "triton-ascend"],
            ["ascend", "nvidia"],
            "triton 3.2.0 .upstream. and triton-ascend 3.2.0",
        ),
        (["triton-ascend"], ["nvidia"], "triton/backends/ascend is gone"),
        (["triton-ascend"], ["ascend", "amd"], "holds the back ends amd, ascend"),
        (["triton-ascend"], ["ascend"], None),
        (["triton"], ["amd", "nvidia"], None),
        ([], [], None),
    ],
)
def test_mixed_triton(tmp_path, distributions, backends, message):
    path = environment(tmp_path, *distributions, backends=backends)
    found = mixed_triton(path)
    assert found is None if message is None else re.search(message, found)
    assert triton_backends(path) == (sorted(backends) or None)


@pytest.mark.parametrize(
    "backends, message", [(["nvidia"], "is the upstream one"), ([], "triton-ascend is not installed in")]
)
def test_folder_without_triton_ascend(tmp_path, monkeypatch, backends, message):
    environment(tmp_path, backends=backends)
    monkeypatch.setenv("COLD_KERNELS_TRITON_ASCEND", str(tmp_path))
    with pytest.raises(ToolchainMissing, match=message):
        compile_add()


def test_triton_ascend_in_a_folder_of_its_own(tmp_path, monkeypatch):
    import triton

    here = compile_add()
    (tmp_path / "triton").symlink_to(Path(triton.__file__).parent)
    monkeypatch.setenv("COLD_KERNELS_TRITON_ASCEND", str(tmp_path))
    there = compile_add()
    assert there.hivm == here.hivm and str(tmp_path) in there.versions["triton-ascend"]


@pytest.mark.parametrize(
    "wrong, complaint",
    [
        (dict(options={"multi_buffer": True}), "options must be CompileOptions, not dict"),
        (dict(timeout=0), "timeout is 0; it must be a number of seconds above 0"),
        (dict(timeout=-1.0), "timeout is -1.0"),
        (dict(timeout="x"), "timeout is 'x'"),
        (dict(timeout=True), "timeout is True"),
    ],
)
def test_options_and_time_limits_that_are_none(wrong, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        compile_kernel(add_offset, {}, {}, **wrong)
