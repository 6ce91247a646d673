"""The repositories whose tests are run, each by one declaration."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Repository:
    """Where a repository's tests of Triton kernels are, and what they need.

    Args:
        name: Of its folder among the checkouts.
        address: Where it is published.
        tests: Files, folders and patterns in the checkout.
        named_after: Pattern of a test's file and the packages whose names, put into it, are the tests' files.
        paths: What the tests import from, in the checkout.
        environment: Variables of the process.
        arguments: Of pytest; ``{scratch}`` is an empty folder.
        built_modules: Modules that a build writes, with their values.
        unbuilt_packages: Packages in the checkout, imported without their ``__init__``, which loads a library
            that has to be built with CANN.
        entry_points: What an installation announces, by the group's name.
        packages: What its tests import and ``cold-kernels[ascend,decode,dev]`` does not bring.
        note: What a reader of the page should know of how they run.
    """

    name: str
    address: str
    tests: tuple[str, ...] = ()
    named_after: tuple[str, tuple[str, ...]] = ("", ())
    paths: tuple[str, ...] = (".",)
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    built_modules: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    unbuilt_packages: Mapping[str, str] = field(default_factory=dict)
    entry_points: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    packages: str = ""
    note: str = ""

    def files(self, checkout: Path) -> list[str]:
        """The files and folders of tests in a checkout, as pytest takes them.

        Raises:
            ValueError: there are none.
        """
        found = [path for pattern in self.tests for path in sorted(checkout.glob(pattern))]
        pattern, packages = self.named_after
        names = {name for package in packages for name in _exported(checkout / package)}
        found += [path for name in sorted(names) if (path := checkout / pattern.format(name)).is_file()]
        if not found:
            raise ValueError(f"{checkout} holds no tests of {self.name}: a checkout of {self.address} is wanted")
        return [str(path.relative_to(checkout)) for path in found]


def _exported(package: Path) -> set[str]:
    """The names that a package imports from its modules, and these modules' own."""
    file = package / "__init__.py"
    tree = ast.parse(file.read_text()) if file.is_file() else ast.Module([], [])
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module]
    return {node.module for node in imports} | {alias.name for node in imports for alias in node.names}


REPOSITORIES = (
    Repository(
        "triton-ascend",
        "https://github.com/triton-lang/triton-ascend",
        tests=("third_party/ascend/unittest/pytest_ut",),
        paths=(),
        packages="einops scipy expecttest",
    ),
    Repository(
        "vllm-ascend",
        "https://github.com/vllm-project/vllm-ascend",
        tests=("tests/e2e/nightly/single_node/ops/singlecard_ops/triton",),
        environment={"VLLM_PLUGINS": "ascend"},
        built_modules={"vllm_ascend._build_info": {"__device_type__": "A2"}},
        entry_points={"vllm.platform_plugins": ("ascend = vllm_ascend:register",)},
        packages="vllm==0.27.1 (built with VLLM_TARGET_DEVICE=empty) torchvision modelscope",
        note="The tests run with vLLM 0.27.1, the release that the checkout's Dockerfile names, without its compiled "
        "parts, as on an NPU. A module with the kind of chip and an entry point, which an installation would write, "
        "are made in memory.",
    ),
    Repository(
        "sgl-kernel-npu",
        "https://github.com/sgl-project/sgl-kernel-npu",
        tests=("tests/python/sgl_kernel_npu",),
        paths=("python/sgl_kernel_npu", "tests/python/sgl_kernel_npu"),
        unbuilt_packages={"sgl_kernel_npu": "python/sgl_kernel_npu/sgl_kernel_npu"},
        packages="einops",
        note="The package is imported without its `__init__`, which loads a library of C++ operators; most test files "
        "are of these operators.",
    ),
    Repository(
        "FlagGems",
        "https://github.com/flagos-ai/FlagGems",
        named_after=(
            "tests/test_{}.py",
            ("src/flag_gems/runtime/backend/_ascend/ops", "src/flag_gems/runtime/backend/_ascend/fused"),
        ),
        paths=("src",),
        environment={"GEMS_VENDOR": "ascend"},
        arguments=("--ref=cpu", "--quick", "--record=json", "--output={scratch}/accuracy.json"),
        packages="sqlalchemy scipy pandas packaging",
        note="Tests of the operators that its Ascend back end names, each in quick mode. The back end's own operators "
        "import `triton.experimental.tle` of FlagTree, which triton-ascend does not have; FlagGems then takes its "
        "generic operators, with the Ascend back end's block sizes, as it does on a device with triton-ascend.",
    ),
    Repository(
        "Liger-Kernel",
        "https://github.com/linkedin/Liger-Kernel",
        tests=("test/transformers",),
        paths=("src", "."),
        packages="transformers datasets",
    ),
    Repository(
        "flash-linear-attention",
        "https://github.com/fla-org/flash-linear-attention",
        tests=("tests/ops", "tests/modules"),
        packages="einops transformers",
    ),
)


def named(names: list[str]) -> list[Repository]:
    """The repositories of these names, all of them where none is given.

    Raises:
        ValueError: a name is unknown.
    """
    known = {one.name: one for one in REPOSITORIES}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"--repository {unknown[0]}: {', '.join(known)} are known")
    return [known[name] for name in names] or list(REPOSITORIES)
