import builtins
import subprocess
import sys

import pytest

from tuner import environment
from tuner.__main__ import main
from tuner.commands import doctor
from tuner.environment import Torch, ask_torch, backends


def versions(monkeypatch, **installed: str):
    """Makes distributions appear as installed, and all others as absent."""
    known = {name.replace("_", "-"): version for name, version in installed.items()}
    found = lambda name, path=None: known.get(name.replace("_", "-"))  # noqa: E731
    monkeypatch.setattr(environment, "distribution_version", found)
    monkeypatch.setattr(doctor, "distribution_version", found)


def triton(monkeypatch, found: list[str] | None, mixed: str | None = None, compiler: str | None = None):
    monkeypatch.setattr(environment, "triton_backends", lambda: found)
    for module in (environment, doctor):
        monkeypatch.setattr(module, "mixed_triton", lambda: mixed)
    monkeypatch.setattr(environment, "toolchain_problem", lambda: compiler)


def by_name(torch: Torch) -> dict[str, environment.Backend]:
    return {one.name: one for one in backends(torch)}


def test_command_alone_prints_help(capsys):
    assert main([]) == 0 and "doctor" in capsys.readouterr().out


def test_this_machine_agrees_with_what_imports():
    process = subprocess.run([sys.executable, "-m", "tuner", "doctor"], capture_output=True, text=True)
    torch = ask_torch()
    works = any(one.works for one in backends(torch) if one.takes_kernels)
    assert process.returncode == (0 if works else 1), process.stderr
    assert torch.problem is None and "CPU (torch)" in process.stdout


def test_torch_alone_is_no_kernel_back_end(monkeypatch, capsys):
    versions(monkeypatch, torch="2.13.0")
    triton(monkeypatch, None, compiler="triton-ascend is not installed\n  do this")
    monkeypatch.setattr(doctor, "ask_torch", lambda: Torch(None))
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "PyTorch works" in said and "do this" in said


def test_upstream_triton_with_a_device(monkeypatch):
    versions(monkeypatch, torch="2.13.0", triton="3.9.0", numpy="2.4.1")
    triton(monkeypatch, ["amd", "nvidia"], compiler="upstream")
    found = by_name(Torch(None, cuda="H100"))
    assert found["CUDA"].compiles is None and found["CUDA"].runs is None
    assert found["Triton interpreter"].runs is None
    assert "triton-ascend is not installed" in found["NPU"].runs
    assert by_name(Torch(None))["CUDA"].runs.startswith("torch sees no CUDA device")


def test_numpy_too_new_for_the_interpreter(monkeypatch):
    versions(monkeypatch, torch="2.13.0", triton_ascend="3.2.0", numpy="2.10.0")
    triton(monkeypatch, ["ascend"])
    assert "numpy 2.10.0 breaks" in by_name(Torch(None))["Triton interpreter"].runs
    assert dict(environment.installed(Torch(None)))["numpy"].startswith("2.10.0 (2.4 or later")


def test_npu_without_cann_then_with(monkeypatch, tmp_path):
    versions(monkeypatch, torch="2.13.0", triton_ascend="3.2.0", torch_npu="2.13.0", numpy="2.3.5")
    triton(monkeypatch, ["ascend"])
    monkeypatch.delenv("ASCEND_HOME_PATH", raising=False)
    assert "set_env.sh" in by_name(Torch(None))["NPU"].runs
    monkeypatch.setenv("ASCEND_HOME_PATH", str(tmp_path))
    assert by_name(Torch(None))["NPU"].runs.startswith("torch sees no NPU")
    assert by_name(Torch(None, npu=True))["NPU"].works


def test_broken_torch_is_survived(monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('libhccl.so: cannot open shared object file')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "libhccl.so" in ask_torch().problem


def test_plain_text_without_rich(monkeypatch, capsys):
    real = builtins.__import__

    def no_rich(name, *others):
        if name.startswith("rich"):
            raise ImportError(name)
        return real(name, *others)

    monkeypatch.setattr(builtins, "__import__", no_rich)
    doctor.print_table("Title", ("a", "b"), [("long cell", "x")])
    assert capsys.readouterr().out == "Title\n  a          b\n  long cell  x\n"


@pytest.mark.parametrize("fails", [False, True])
def test_fix_separates_a_mix(monkeypatch, capsys, fails):
    versions(monkeypatch, triton="3.9.0", triton_ascend="3.1.9")
    triton(monkeypatch, ["ascend", "nvidia"], mixed="both are there")
    commands = []
    assert doctor.fix(lambda command: commands.append(command[1:]) or int(fails))
    assert commands[0] == ["-m", "pip", "uninstall", "-y", "triton", "triton-ascend"]
    if fails:
        assert len(commands) == 1 and "That failed" in capsys.readouterr().out
    else:
        assert commands[1:] == [["-m", "pip", "install", "--no-deps", "triton-ascend==3.1.9"]]


def test_fix_leaves_a_clean_environment_alone(monkeypatch, capsys):
    triton(monkeypatch, ["ascend"])
    assert not doctor.fix(lambda command: pytest.fail(f"ran {command}"))
    assert "Nothing to fix" in capsys.readouterr().out
