import importlib.util
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cold_kernels.ascend import CompilationFailed, compile_kernel
from cold_kernels.ascend.errors import CompilerDied
from cold_kernels.ascend.frontend import PACKAGE_ROOT, frontend
from cold_kernels.ascend.installation import toolchain_problem

pytestmark = pytest.mark.skipif(toolchain_problem() is not None, reason=str(toolchain_problem()))
if toolchain_problem() is None:
    from tests.kernels import add_offset

KERNEL = """
import os, signal, sys, time
import triton
import triton.language as tl

from cold_kernels.ascend.worker import in_worker as asked

in_worker = asked()

@triton.jit
def fill(x_ptr, TILE: tl.constexpr):
    tl.store(x_ptr + tl.arange(0, TILE), tl.full([TILE], 1.0, tl.float32))
"""
SCRIPT = """
import sys
from cold_kernels.ascend import compile_kernel
from cold_kernels.ascend.frontend import frontend

def compiled(tile):
    return compile_kernel(fill, {"x_ptr": "*fp32"}, {"TILE": tile})
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COLD_KERNELS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def written(tmp_path):
    """Writes a module with the kernel and more, and imports it."""

    def write(more: str = "", text: str = KERNEL):
        file = tmp_path / "some_kernels.py"
        file.write_text(text + textwrap.dedent(more))
        spec = importlib.util.spec_from_file_location("some_kernels", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.fill

    return write


def compiled(kernel, tile=256, **others):
    return compile_kernel(kernel, {"x_ptr": "*fp32"}, {"TILE": tile}, **others)


def script(tmp_path: Path, body: str, **environment: str) -> subprocess.Popen:
    file = tmp_path / "script.py"
    file.write_text(KERNEL + SCRIPT + textwrap.dedent(body))
    paths = {"PYTHONPATH": str(PACKAGE_ROOT), **environment}
    return subprocess.Popen(
        [sys.executable, file],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **paths},
    )


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until_gone(pid: int, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return gone(pid)


def test_one_worker_serves_many_compiles(written):
    kernel = written()
    compiled(kernel)
    pid = frontend.pid
    compiled(kernel, 512)
    assert frontend.pid == pid is not None


def test_killed_worker_is_replaced(written):
    kernel = written()
    compiled(kernel)
    pid = frontend.pid
    os.kill(pid, signal.SIGKILL)
    assert wait_until_gone(pid)
    assert compiled(kernel, 512).core_type == "AIV" and frontend.pid != pid


def test_worker_that_aborts_is_named_and_replaced(written):
    with pytest.raises(CompilerDied, match="the worker died: ended by SIGABRT") as caught:
        compiled(written("if in_worker: os.write(2, b'last words'); os.kill(os.getpid(), signal.SIGABRT)"))
    assert caught.value.stage == "frontend" and "last words" in str(caught.value)
    assert compiled(written()).core_type == "AIV"


def test_time_out_ends_the_worker(written):
    compiled(written())
    pid = frontend.pid
    started = time.monotonic()
    with pytest.raises(CompilerDied, match="no answer within 0.5 s"):
        compiled(written("if in_worker: time.sleep(60)"), 512, timeout=0.5)
    assert time.monotonic() - started < 10 and gone(pid)
    assert compiled(written()).core_type == "AIV"


def test_changed_file_is_loaded_again(written):
    before = compiled(written())
    after = compiled(written(text=KERNEL.replace("1.0", "2.0")))
    assert before.digest != after.digest
    assert compiled(written()) == before


def test_changed_file_is_loaded_again_after_another_one(written):
    compiled(written())
    compile_kernel(add_offset, {"x_ptr": "*fp16", "y_ptr": "*fp16", "n": "i32", "stride": "i32"}, {"TILE": 64})
    assert "2.0" in compiled(written(text=KERNEL.replace("1.0", "2.0"))).hivm


def test_a_kernel_that_moved_within_its_file_has_other_lines(written):
    def lines(program):
        return {int(line) for line in re.findall(r'some_kernels\.py":(\d+):', program.hivm)}

    first, moved = lines(compiled(written())), lines(compiled(written(text="\n\n" + KERNEL)))
    assert first and moved == {line + 2 for line in first}


def test_output_of_a_kernels_module_is_no_reply(written):
    noise = """
        print('{"linalg": "not this"}', flush=True)
        os.system("echo nor this")
    """
    assert compiled(written(noise)).core_type == "AIV"


def test_failed_import_is_not_kept(written):
    with pytest.raises(CompilationFailed, match="ZeroDivisionError"):
        compiled(written("if in_worker and not os.path.exists(__file__ + '.mended'): 1 / 0"))
    Path(written.__closure__[0].cell_contents, "some_kernels.py.mended").touch()
    assert compiled(written("if in_worker and not os.path.exists(__file__ + '.mended'): 1 / 0")).core_type == "AIV"


def test_threads_share_it(written):
    kernel = written()
    tiles = [64, 128, 192, 256]
    with ThreadPoolExecutor(4) as pool:
        programs = list(pool.map(lambda tile: compiled(kernel, tile), tiles))
    assert [program.constants["TILE"] for program in programs] == tiles
    for tile, program in zip(tiles, programs):
        assert f"memref<{tile}xf32" in program.hivm


def test_kernel_of_main_in_an_interpreting_process(tmp_path, written):
    body = """
        if __name__ == "__main__":
            assert type(fill).__name__ == "InterpretedFunction"
            print(compiled(256).digest)
    """
    said, complaints = script(tmp_path, body, TRITON_INTERPRET="1").communicate(timeout=60)
    assert said.strip() == compiled(written()).digest, complaints


def test_script_without_main_guard_is_told(tmp_path):
    process = script(tmp_path, "compiled(256)")
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 1 and "move that under `if __name__ == '__main__':`" in complaints


def test_worker_dies_with_a_killed_parent(tmp_path):
    body = """
        if __name__ == "__main__":
            compiled(256)
            print(frontend.pid, flush=True)
            time.sleep(60)
    """
    process = script(tmp_path, body)
    pid = int(process.stdout.readline())
    assert not gone(pid)
    process.kill()
    process.communicate()
    assert wait_until_gone(pid)


def test_interrupt_and_exit_leave_no_trace(tmp_path):
    body = """
        if __name__ == "__main__":
            compiled(256)
            os.kill(frontend.pid, signal.SIGINT)
            assert compiled(512).core_type == "AIV"
            print(frontend.pid)
    """
    said, complaints = script(tmp_path, body).communicate(timeout=60)
    assert complaints == "" and wait_until_gone(int(said))


def test_forked_child_has_its_own(tmp_path):
    body = """
        if __name__ == "__main__":
            compiled(64)
            if (child := os.fork()) == 0:
                compiled(128)
                print(frontend.pid, flush=True)
                frontend.stop()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            compiled(256)
            print(frontend.pid)
    """
    said, complaints = script(tmp_path, body).communicate(timeout=60)
    assert len(set(said.split())) == 2, complaints


ON_A_DEVICE = """
import triton
import triton.language as tl
import torch_npu

core = triton.runtime.driver.active.get_current_target()

@triton.jit
def fill(x_ptr, TILE: tl.constexpr):
    tl.store(x_ptr + tl.arange(0, TILE), tl.full([TILE], 1.0, tl.float32))
"""


def test_a_module_that_wants_a_device_is_imported_on_the_simulated_one(tmp_path):
    """Its own process: once a process has simulated an NPU, its worker may."""
    file = tmp_path / "script.py"
    (tmp_path / "kernels_of_a_device.py").write_text(ON_A_DEVICE)
    file.write_text(
        "from cold_kernels.ascend import compile_kernel\n"
        "from cold_kernels.npu import simulated\n"
        'with simulated(hazards="off"):\n'
        "    from kernels_of_a_device import fill\n"
        'print(compile_kernel(fill, {"x_ptr": "*fp32"}, {"TILE": 256}).core_type)\n'
    )
    done = subprocess.run([sys.executable, file], env=os.environ | {"PYTHONPATH": str(PACKAGE_ROOT)},
                          capture_output=True, text=True)  # fmt: skip
    assert done.stdout.split() == ["AIV"], done.stderr
