"""A failure gets the cause that its errors show."""

import pytest

from bench.compatibility import causes
from bench.compatibility.causes import cause_of, words_of

CASES = (
    (causes.UNSUPPORTED, "UnsupportedProgram: llvm.inline_asm at k.py:3: this operation is not simulated"),
    (causes.COMPILER, "MLIRCompilationError: \n[ConvertTritonIRToLinalgIR] error: strides must not be zero"),
    (causes.RELEASE, "KeyError: 'Keyword argument optimize_dynamic_offset was specified but unrecognised'"),
    (causes.RELEASE, "test_x.py:3: in <module>\nE   ModuleNotFoundError: No module named 'triton.extension'"),
    (causes.RELEASE, "E   ImportError: cannot import name 'ir' from 'triton._C.libtriton.ascend' (libtriton.so)"),
    (causes.MISSING, "E   ModuleNotFoundError: No module named 'tritonbench'"),
    (causes.CHIP, "ValueError: force_simt_only=True is for Ascend 950; Ascend910B3 has no such units"),
    (causes.CHIP, "AssertionError: Torch not compiled with CUDA enabled"),
    (causes.CANN, "NotImplementedError: torch_npu.npu_rms_norm is an operator of CANN, which is not simulated"),
    (causes.CANN, "AttributeError: '_OpNamespace' 'npu' object has no attribute 'alloc_extend'"),
    (causes.REFERENCE, "NotImplementedError: \"check_uniform_bounds\" not implemented for 'Int'"),
    (causes.BOUNDS, "OutOfBounds: hivm.hir.load at k.py:9: elements 0 to 99 of x, which has 64"),
    (causes.HAZARD, "HazardFound: k on the grid (2,): programs: hivm.hir.store writes"),
    (causes.SLOW, "LaunchTookTooLong: k on the grid (65535,) was ended after 60 s"),
    (causes.SLOW, "TestTookTooLong: the test took more than 60 s of this process"),
    (causes.VALUE, "AssertionError: Tensor-likes are not close!"),
    (causes.OTHER, "ZeroDivisionError: division by zero"),
)


@pytest.mark.parametrize("cause, error", CASES, ids=[f"{cause.name}-{place}" for place, (cause, _) in enumerate(CASES)])
def test_each_error_has_its_cause(cause, error):
    assert cause_of([error]) is cause


def test_what_an_error_was_caused_by_counts_too():
    assert cause_of(["RuntimeError: the test failed", "OutOfBounds: elements 0 to 9 of x"]) is causes.BOUNDS


def test_no_error_is_other():
    assert cause_of([]) is causes.OTHER


def test_the_compiler_is_quoted_from_its_error_on_and_without_folders():
    said = "MLIRCompilationError: \n[BEG]\n/folder/of/theirs/k.py:7:0: error: strides must not be zero\nnote: more"
    assert words_of([said]) == "MLIRCompilationError: strides must not be zero"
    assert words_of(["OutOfBounds: load at /home/me/k.py:9: too far"]) == "OutOfBounds: load at k.py:9: too far"
    assert words_of(["/home/me/lib/a.py:3: in <module>\nE  No"]).startswith("a.py:3: in <module>")
    assert len(words_of(["ValueError: " + "x" * 999])) == 160
