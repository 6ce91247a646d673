"""``pytest -p cold_kernels.npu``: hazards, limits, summaries, reports, pytest-xdist."""

import json
import textwrap

import pytest

from .processes import run_pytest

KERNELS = """
import torch, triton, triton.language as tl

@triton.jit
def double(x_ptr, out_ptr, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + offsets, 2 * tl.load(x_ptr + offsets))

@triton.jit
def meet(out_ptr, BLOCK: tl.constexpr):
    tl.store(out_ptr + tl.arange(0, BLOCK), tl.zeros((BLOCK,), tl.float32) + tl.program_id(0))
"""
GOOD = """
def test_double():
    x = torch.arange(256, dtype=torch.float32, device="npu")
    out = torch.empty_like(x)
    double[(4,)](x, out, BLOCK=64)
    assert torch.equal(out, 2 * x)
"""
HAZARD = """
def test_programs_that_write_the_same():
    meet[(4,)](torch.empty(64, device="npu"), BLOCK=64)
"""


@pytest.fixture
def write(tmp_path):
    def write(*parts, name="test_it.py"):
        (tmp_path / name).write_text("\n".join(map(textwrap.dedent, (KERNELS, *parts))))
        return tmp_path

    return write


def test_a_run_says_what_it_ran(write):
    folder = write(GOOD)
    code, said = run_pytest("-q", "-n", "0", "--npu-report", "out/report.json", folder=folder)
    assert code == 0, said
    assert "simulated Ascend910B3" in said and "1 kernels, 1 launches" in said and "report: out/report.json" in said
    (kernel,) = json.loads((folder / "out" / "report.json").read_text())["kernels"]
    assert (kernel["name"], kernel["file"], kernel["launches"]) == ("double", "test_it.py", 1)
    assert 0 < kernel["device_us"] == kernel["longest"]["us"] < 100 and kernel["longest"]["grid"] == [4, 1, 1]
    assert kernel["hazards"] == []


@pytest.mark.parametrize("way, outcome", [("error", "1 failed"), ("warn", "1 passed, 1 warning"), ("off", "1 passed")])
def test_hazards(write, way, outcome):
    code, said = run_pytest("-q", "-n", "0", f"--npu-hazards={way}", folder=write(HAZARD))
    assert code == (way == "error") and f"{outcome} in" in said, said
    assert ("hazard: programs" in said) == (way != "off")
    if way == "error":
        assert "HazardFound: meet on the grid (4, 1, 1): programs: " in said and "test_it.py:11" in said


def test_lanes_that_are_read_outside_and_masked_off_are_a_warning(write):
    masked = """
    @triton.jit
    def gather(x_ptr, places_ptr, out_ptr, count, BLOCK: tl.constexpr):
        offsets = tl.arange(0, BLOCK)
        places = tl.load(places_ptr + offsets)
        mask = places < count
        tl.store(out_ptr + offsets, tl.load(x_ptr + places, mask=mask, other=0.0))

    def test_gather():
        x = torch.arange(8, dtype=torch.float32, device="npu")
        places = torch.arange(0, 32000, 1000, dtype=torch.int32, device="npu") // 500
        out = torch.empty(32, device="npu")
        gather[(1,)](x, places, out, 8, BLOCK=32)
        assert torch.equal(out, torch.where(places < 8, x[places.clamp(max=7)], 0))
    """
    code, said = run_pytest("-q", "-n", "0", folder=write(masked))
    assert code == 0 and "HazardWarning: gather on the grid (1, 1, 1): outside: " in said, said


def test_the_report_as_a_page(write):
    folder = write(GOOD, HAZARD)
    run_pytest("-q", "-n", "0", "--npu-report", "report.html", folder=folder)
    page = (folder / "report.html").read_text()
    assert "never measured" in page and "<code>double</code>" in page and 'class="hazard">programs: ' in page


def test_workers_of_xdist_are_added_up(write):
    folder = write(GOOD, name="test_one.py")
    write(GOOD, name="test_two.py")
    code, said = run_pytest("-q", "-n", "2", "--dist", "loadfile", "--npu-report", "report.json", folder=folder)
    assert code == 0 and "2 kernels, 2 launches" in said, said
    found = json.loads((folder / "report.json").read_text())["kernels"]
    assert {kernel["file"] for kernel in found} == {"test_one.py", "test_two.py"}


def test_a_launch_ends_at_its_limit(write):
    long = """
    @triton.jit
    def slow(x_ptr, count, BLOCK: tl.constexpr):
        for _ in range(count):
            tl.store(x_ptr + tl.arange(0, BLOCK), 1 + tl.load(x_ptr + tl.arange(0, BLOCK)))

    def test_slow():
        slow[(1,)](torch.empty(64, device="npu"), 1 << 30, BLOCK=64)
    """
    code, said = run_pytest("-q", "-n", "0", "--npu-limit", "2", folder=write(long))
    assert code == 1 and "LaunchTookTooLong: slow on the grid (1, 1, 1) was ended after 2 s" in said, said


def test_a_second_compilation_is_compared(write):
    folder = write(GOOD)
    given = dict(folder=folder, TRITON_CACHE_DIR=str(folder / "cache"))
    code, said = run_pytest("-q", "-n", "0", "--npu-compile-twice", **given)
    assert code == 0 and "on 1 compilations" in said, said
    code, said = run_pytest("-q", "-n", "0", "--npu-compile-twice", **given)
    assert code == 0 and "on 1 compilations" in said, "what is in the cache is compiled as well"
    broken = """
    import itertools
    from cold_kernels.ascend import bishengir

    texts = itertools.count()
    first = bishengir.Compiler.compile
    bishengir.Compiler.compile = lambda *a, **k: first(*a, **k) + f"// {next(texts)}"
    """
    write(broken, GOOD)
    given["TRITON_CACHE_DIR"] = str(folder / "other")
    code, said = run_pytest("-q", "-n", "0", "--npu-compile-twice", **given)
    assert code == 1 and "two compilations of one Linalg module differ" in said, said


def test_modules_find_the_device_when_they_are_imported(write):
    folder = write("import torch_npu\nassert torch.npu.is_available()\nON = torch.ones(3).npu()\n", name="conftest.py")
    write("from conftest import ON\n", GOOD, "def test_on():\n    assert ON.is_npu\n")
    code, said = run_pytest("-q", "-n", "0", folder=folder)
    assert code == 0 and "2 passed" in said, said


@pytest.mark.parametrize(
    "option, words",
    [
        ("--npu-chip=Ascend910X", "unknown chip 'Ascend910X'"),
        ("--npu-limit=-1", "--npu-limit -1"),
        ("--npu-report=report.pdf", "a name that ends in .html or .json"),
        ("--npu-report=/proc/none/report.json", "report /proc/none/report.json: "),
        ("--npu-hazards=maybe", "invalid choice: 'maybe'"),
    ],
)
def test_wrong_options(write, option, words):
    code, said = run_pytest("-q", "-n", "0", option, folder=write(GOOD))
    assert code == 4 and words in said, said


def test_the_interpreter_is_another_way(write):
    code, said = run_pytest("-q", "-n", "0", folder=write(GOOD), TRITON_INTERPRET="1")
    assert code == 4 and "TRITON_INTERPRET" in said, said


def test_a_worker_that_crashes_is_missed(write):
    crash = "import os\n\ndef test_crash():\n    os._exit(1)\n"
    folder = write(GOOD, name="test_one.py")
    write(crash, name="test_two.py")
    code, said = run_pytest("-q", "-n", "2", "--dist", "loadfile", folder=folder)
    assert code == 1 and "what ran in workers that crashed is not in it: gw" in said, said


def test_an_exception_of_a_signal_is_not_the_simulators(write):
    alarm = """
    import signal

    class Alarm(Exception):
        pass

    def test_alarm():
        def ring(*_):
            raise Alarm("time is up")

        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 2)
        x = torch.empty(64 * 60000, device="npu")
        double[(60000,)](x, x, BLOCK=64)
    """
    code, said = run_pytest("-q", "-n", "0", folder=write(alarm))
    assert code == 1 and "Alarm: time is up" in said and "not simulated" not in said, said
