"""``python -m cold_kernels.npu``, `simulated`, and where neither can be."""

import json

from .processes import run

SCRIPT = """
import sys, torch, triton, triton.language as tl, torch_npu

@triton.jit
def double(x_ptr, out_ptr, BLOCK: tl.constexpr):
    offsets = tl.arange(0, BLOCK)
    tl.store(out_ptr + offsets, 2 * tl.load(x_ptr + offsets))

x = torch.ones(64, device="npu")
double[(1,)](x, x, BLOCK=64)
print(sys.argv[1:], x.sum().item(), __name__)
if "fail" in sys.argv:
    sys.exit(3)
"""
WITHIN = """
import sys, torch, triton, triton.testing
import cold_kernels.npu as npu
before = triton.testing.do_bench
originals = torch.ones, torch.compile, torch.Generator, torch.Tensor.pin_memory
with npu.simulated("Ascend910B1", hazards="warn") as session:
    import script
    assert torch.npu.get_device_name() == "Ascend910B1"
    (kernel,) = session.kernels.values()
    assert kernel.launches == 1 and kernel.device_us > 0
assert triton.testing.do_bench is before and "torch_npu" not in sys.modules
try:
    script.double[(1,)](script.x, script.x, BLOCK=64)
except Exception as error:
    print("afterwards", type(error).__name__)
with npu.simulated():
    script.double[(1,)](script.x, script.x, BLOCK=64)
    assert script.x.sum().item() == 256
with npu.simulated() as outer:
    with npu.simulated("Ascend910B1") as inner:
        script.double[(1,)](script.x, script.x, BLOCK=64)
        (kernel,) = inner.kernels.values()
        assert kernel.longest.program.chip == "Ascend910B1" == torch.npu.get_device_name()
    assert torch.npu.get_device_name() == "Ascend910B3" and not outer.kernels
assert originals == (torch.ones, torch.compile, torch.Generator, torch.Tensor.pin_memory)
for wrong in (dict(chip="nothing"), dict(hazards="maybe"), dict(limit=0)):
    try:
        with npu.simulated(**wrong):
            pass
    except ValueError as error:
        print(error)
"""


def test_a_script_runs(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    code, said = run("-m", "cold_kernels.npu", "--npu-report", "r.json", "script.py", "one", "--two", folder=tmp_path)
    assert code == 0 and "['one', '--two'] 128.0 __main__" in said and "1 kernels, 1 launches" in said, said
    assert json.loads((tmp_path / "r.json").read_text())["kernels"][0]["name"] == "double"
    code, said = run("-m", "cold_kernels.npu", "script.py", "fail", folder=tmp_path)
    assert code == 3 and "1 launches" in said
    code, said = run("-m", "cold_kernels.npu", "-m", "script", folder=tmp_path)
    assert code == 0 and "[] 128.0 __main__" in said
    code, said = run("-m", "cold_kernels.npu", "nowhere.py", folder=tmp_path)
    assert code == 2 and "nowhere.py is no file" in said


def test_a_with_statement(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "within.py").write_text(WITHIN)
    code, said = run("within.py", folder=tmp_path)
    assert code == 0, said
    assert "afterwards" in said and "unknown chip 'nothing'" in said
    assert "hazards='maybe'" in said and "limit=0" in said


def test_a_real_torch_npu_comes_first(tmp_path):
    (tmp_path / "torch_npu.py").write_text("")
    (tmp_path / "script.py").write_text(SCRIPT)
    code, said = run("-m", "cold_kernels.npu", "script.py", folder=tmp_path, PYTHONPATH=str(tmp_path))
    assert code == 2 and "torch_npu is installed" in said, said
