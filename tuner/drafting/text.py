"""A drafted spec as the text of a Python file."""

import inspect
import keyword
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from cold_kernels.source import python_function
from cold_kernels.tunables import SWITCHES

from .grids import formula
from .launches import INOUT, OUT, UNTOUCHED, Seen, SeenTensor
from .sizes import Sizes, sizes_of, stem

REACH = 8
"""How many times smaller and larger than what was launched a drafted tile may be."""
CUDA_ONLY = ("num_warps", "num_ctas", "num_stages")


class Draft:
    """What a spec says, gathered from what was seen of a kernel."""

    def __init__(self, seen: Seen, name: str, imported: str, found_in: str) -> None:
        self.seen, self.name, self.imported, self.found_in = seen, name, imported, found_in
        self.first = seen.launches[0]
        in_kernel = self.first.values
        self.tiles = [n for n in in_kernel if n in seen.constexprs and (n in seen.choices or seen.free.get(n))]
        self.sizes: Sizes = sizes_of(seen, self.tiles)
        self.tensors = self._tensor_names()
        self.dot = "tl.dot" in _source(seen)
        self.notes = list(dict.fromkeys(self.sizes.notes)) + list(dict.fromkeys(seen.skipped))

    def _tensor_names(self) -> dict[str, str]:
        taken = {*self.sizes.values, *self.tiles, *self.sizes.counts}
        names: dict[str, str] = {}
        for parameter in self.first.tensors():
            name = stem(parameter)
            while name in taken or keyword.iskeyword(name):
                name += "_"
            taken.add(name)
            names[parameter] = name
        return names

    def scalars(self) -> dict[str, str]:
        """Numbers that nothing explains: run-time arguments with the value that was seen."""
        known = {*self.tiles, *self.sizes.values, *self.sizes.counts, *self.sizes.strides}
        found = {}
        for name, value in self.first.values.items():
            if name in known or name in self.seen.constexprs or isinstance(value, SeenTensor | str | None):
                continue
            kind = "i1" if isinstance(value, bool) else "fp32" if isinstance(value, float) else "i32"
            if kind == "i32" and not -(2**31) <= value < 2**31:
                kind = "i64"
            found[name] = f'Scalar("{kind}", default={value!r})'
        return found

    def binds(self) -> dict[str, str]:
        """Parameters that go by other names than the ones that are bound by themselves."""
        named = {*self.tiles, *self.sizes.values, *self.sizes.counts, *self.scalars()}
        made = {}
        for parameter, value in self.first.values.items():
            if parameter in self.tensors:
                if parameter != f"{self.tensors[parameter]}_ptr":
                    made[parameter] = f'Pointer("{self.tensors[parameter]}")'
            elif parameter in self.sizes.strides:
                tensor, place = self.sizes.strides[parameter]
                made[parameter] = f'Stride("{self.tensors[tensor]}", "{self.sizes.dims[tensor][place]}")'
            elif parameter not in named:
                shown = f"tl.{value}" if type(value).__name__ == "dtype" else repr(value)
                made[parameter] = f"Fixed({shown})"
        return made

    def args(self) -> list[str]:
        """A line for each tensor and number."""
        lines, first = [], next(iter(self.first.tensors()), "")
        for parameter, tensor in self.first.tensors().items():
            role = self.seen.roles[parameter]
            dims = " ".join(self.sizes.dims[parameter])
            words = [f'"{dims}"', f'"{tensor.dtype}"']
            if parameter != first and tensor.dtype == self.first.values[first].dtype:
                words[1] = f'same_dtype="{self.tensors[first]}"'
            if role != OUT and (made := _make(tensor)):
                words.append(f"make={made}")
            if tensor.contiguous and not self._all_strides_taken(parameter):
                words.append("contiguous=True")
            kind = {OUT: "Out", INOUT: "InOut"}.get(role, "In")
            remark = "  # no result was seen to depend on it" if role == UNTOUCHED else ""
            lines.append(f"{self.tensors[parameter]}={kind}({', '.join(words)}),{remark}")
        return lines + [f"{name}={text}," for name, text in self.scalars().items()]

    def _all_strides_taken(self, parameter: str) -> bool:
        taken = {place for tensor, place in self.sizes.strides.values() if tensor == parameter}
        tensor = self.first.values[parameter]
        return all(place in taken or tensor.strides[place] == 1 for place in range(len(tensor.shape)))

    def space(self) -> list[str]:
        """A line for each tunable: autotune's, other tiles, and the compiler's switches."""
        lines = []
        for name in self.tiles:
            lines.append(f"{name}={_tunable(self.first.values[name], self.seen.choices.get(name))},")
        for name in SWITCHES:
            values = [value for value in self.seen.choices.get(name, ()) if value is not None]
            if not values and self.dot:
                values = {"unit_flag": [True], "tile_mix_vector_loop": [2, 4], "tile_mix_cube_loop": [2, 4],
                          "set_workspace_multibuffer": [2, 4]}.get(name, [])  # fmt: skip
            if values:
                lines.append(f'{name.upper()}=Switch("{name}", {", ".join(map(repr, values))}),')
        return [*lines, "AUTO=AutoMultiBuffer(),"]

    def grid(self) -> tuple[str, list[str]]:
        """The grid over ``c``, ``s`` and ``cores``, and remarks."""
        seen, tiles = [], list(self.tiles)
        for place, launch in enumerate(self.seen.launches):
            env = {dim: values[place] for dim, values in self.sizes.values.items()}
            env |= {name: launch.values[name] for name in tiles}
            seen.append((env, launch.grid))
            seen += [({**env, **changed}, grid) for changed, grid in launch.grids if set(changed) <= set(tiles)]
        dims = sorted(self.sizes.values, key=lambda dim: dim not in self.first.values)
        axes, remarks = [], []
        length = max(len(grid) for _, grid in seen)
        for axis in range(length):
            found = formula(axis, seen, dims, tiles)
            if found is None:
                size = self.first.grid[axis] if axis < len(self.first.grid) else 1
                axes.append(str(size))
                remarks.append(
                    f"CHECK: axis {axis} of the grid is {size}, as in the recorded launch; no product of sizes and "
                    "tiles explains it. It is right for the recorded shape alone: write a formula."
                )
                continue
            terms, others = found
            texts = [f"s.{t[0]}" if len(t) == 1 else f"triton.cdiv(s.{t[0]}, c.{t[1]})" for t in terms]
            axes.append(" * ".join(texts) or "1")
            if others:
                remarks.append(f"axis {axis} of the grid: {others} other products of as many terms fit as well")
        while len(axes) > 1 and axes[-1] == "1":
            axes.pop()
        return f"lambda c, s, cores: ({', '.join(axes)},)", remarks

    def groups(self) -> tuple[list[str], list[str]]:
        """Dimensions of the group, and of the bucket."""
        dims = list(self.sizes.values)
        chosen = [dim for dim in dims if dim in self.seen.keys]
        if not self.seen.keys:
            last = {names[-1] for names in self.sizes.dims.values() if len(names) > 1}
            chosen = [dim for dim in dims if dim in last or dim in self.seen.constexprs]
        return chosen, [dim for dim in dims if dim not in chosen]

    def cases(self) -> list[str]:
        """The recorded launches in the language of cases."""
        dtype = next(iter(self.first.tensors().values())).dtype
        texts = []
        for place, launch in enumerate(self.seen.launches):
            words = [f"{dim}={values[place]}" for dim, values in self.sizes.values.items()] + [f"dtype={dtype}"]
            words += [f"{name}={launch.values[name]!r}" for name in self.scalars()]
            texts.append(" ".join(words).replace("=True", "=1").replace("=False", "=0"))
        return list(dict.fromkeys(texts))


def drafted(seen: Seen, name: str, imported: str, found_in: str) -> str:
    """The file.

    Args:
        seen: At least one launch.
        name: The kernel's; its spec is called the same with ``_spec`` behind it.
        imported: The lines that import the kernel.
        found_in: Where the launches came from, in words.
    """
    draft = Draft(seen, name, imported, found_in)
    if not draft.tensors:
        raise ValueError(f"{name} takes no tensor: there is nothing to check and nothing to tune")
    if not any(role in (OUT, INOUT) for role in seen.roles.values()):
        raise ValueError(
            f"{name}: no tensor was seen to change in {found_in}; give a launch whose result can be compared"
        )
    grid, remarks = draft.grid()
    group, bucket = draft.groups()
    cases = draft.cases()
    notes = draft.notes + remarks
    if seen.heuristics:
        notes.append(f"@triton.heuristics computes {', '.join(seen.heuristics)}; here they are as stated below")
    if ignored := [option for option in seen.choices if option in CUDA_ONLY]:
        notes.append(f"{', '.join(ignored)} of autotune's configurations mean nothing on Ascend and are left out")
    spec = f"{name}_spec"
    space = draft.space()
    everything = "\n".join([*draft.args(), *space, *draft.binds().values()])
    uses = [
        word
        for word in ("Fixed", "In", "InOut", "Out", "Pointer", "Scalar", "Stride")
        if re.search(rf"\b{word}\(", everything)
    ]
    tunables = [word for word in ("AutoMultiBuffer", "Choice", "PowerOf2", "Switch") if f"{word}(" in everything]
    binds = "".join(f"\n                {n!r}: {text}," for n, text in draft.binds().items()).replace("'", '"')
    counts = "".join(f"{n}=lambda c, s: {text}, " for n, text in draft.sizes.counts.items())
    lines = [
        f'"""How {name} is launched, checked and tuned: drafted from {found_in}, for you to check.',
        "",
        *_wrapped(f"{len(seen.launches)} distinct launches were seen. What was guessed:"),
        *(line for note in notes or ["nothing"] for line in _wrapped(f"- {note}", "  ")),
        "",
        *_wrapped(
            "The reference is what the default configuration computes: it shows that other configurations agree with "
            "it, not that it is right. Write a float64 reference and a tolerance in its place to know that."
        ),
        '"""',
        "",
        "import sys",
        "from pathlib import Path",
        "",
        "import torch",
        "import triton",
        "import triton.language as tl",
        "",
        "from cold_kernels.arguments import " + ", ".join(uses),
        "from cold_kernels.as_default import as_default, close_to_default",
        "from cold_kernels.spec import KernelSpec",
        "from cold_kernels.stage import Stage",
        "from cold_kernels.tunables import " + ", ".join(tunables),
        "",
        imported,
        "",
        "",
        "def _bytes(**args):",
        f"    read_and_written = {[draft.tensors[p] for p, role in seen.roles.items() if role == INOUT]!r}",
        '    tensors = [each for name, each in args.items() if not name.endswith("_before") and torch.is_tensor(each)]',
        "    tensors += [args[name] for name in read_and_written]",
        "    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)",
        "",
        "",
        *_maker(everything),
        f"{spec} = KernelSpec(",
        f'    name="{name}",',
        "    stages=(",
        "        Stage(",
        f"            {name},",
        f"            {grid},",
        *([f"            binds={{{binds}\n            }},"] if binds else []),
        "        ),",
        "    ),",
        "    args=dict(",
        *(f"        {line}" for line in draft.args()),
        "    ),",
        "    space=dict(",
        *(f"        {line}" for line in space),
        "    ),",
        *([f"    counts=dict({counts.rstrip(', ')}),"] if counts else []),
        f"    group={tuple(group)!r},",
        f"    bucket={tuple(bucket)!r},",
        f"    reference=as_default(lambda: {spec}),",
        f"    tolerance=close_to_default(lambda: {spec}),",
        "    minimal_bytes=_bytes,",
        f'    typical="{cases[0]}",',
        '    hard=("",),  # add shapes that hurt: one row, sizes that no tile divides',
        "    targets=(",
        *(f'        "{case}",' for case in cases),
        "    ),",
        '    tables=Path(__file__).with_name("tables"),',
        ")",
        "",
    ]
    text = "\n".join(lines)
    for module, used in (
        ("import sys\n", "sys."),
        ("import triton\n", "triton."),
        ("import triton.language as tl\n", "tl."),
    ):
        if used not in text.replace("import triton.language", ""):
            text = text.replace(module, "", 1)
    return text


def import_lines(file: Path, name: str, spec_file: Path) -> tuple[str, Path]:
    """What a spec's file imports its kernel by, and the folder that must be on Python's path for it.

    A module that asks for a device when it is imported, or for torch_npu, is imported on the simulated NPU.
    """
    lines, folder = _plain_import_lines(file, name, spec_file)
    setting = f"from pathlib import Path\nimport sys\n__file__ = {str(spec_file.resolve())!r}\n"
    setting += f"sys.path.append({str(spec_file.resolve().parent)!r})\n"
    if subprocess.run([sys.executable, "-c", setting + lines], capture_output=True).returncode == 0:
        return lines, folder
    inside = textwrap.indent(lines.replace("\n\n", "\n"), "    ")
    return f'from cold_kernels.npu import simulated\n\nwith simulated(hazards="off"):\n{inside}', folder


def _plain_import_lines(file: Path, name: str, spec_file: Path) -> tuple[str, Path]:
    folder, module = file.parent, file.stem
    while (folder / "__init__.py").exists():
        module, folder = f"{folder.name}.{module}", folder.parent
    if module.endswith(".__init__"):
        module = module.removesuffix(".__init__")
    if not all(part.isidentifier() for part in module.split(".")):
        relative = os.path.relpath(file, spec_file.resolve().parent)
        path = f'(Path(__file__).resolve().parent / "{relative}").resolve()'
        loaded = f'{name} = module_from_file({path}, "{file.name}").{name}'
        return f"from cold_kernels.specs import module_from_file\n\n{loaded}", folder
    statement = f"from {module} import {name}"
    if folder == spec_file.resolve().parent:
        return statement, folder
    relative = os.path.relpath(folder, spec_file.resolve().parent)
    path = f'str((Path(__file__).resolve().parent / "{relative}").resolve())'
    return f"sys.path.append({path})\n{statement}  # noqa: E402", folder


def _source(seen: Seen) -> str:
    return inspect.getsource(python_function(seen.kernel))


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, 116, subsequent_indent=indent)


def _make(tensor: SeenTensor) -> str:
    """What fills an input: numbers of the recorded range where normal ones would not do."""
    if tensor.dtype.startswith("fp") or tensor.dtype == "bf16":
        return "torch_rand" if tensor.low >= 0 and tensor.high > 0 else ""
    return f"_integers({int(tensor.low)}, {int(tensor.high)})"


def _maker(everything: str) -> list[str]:
    lines = []
    if "_integers(" in everything:
        lines += [
            "def _integers(low, high):",
            '    """Numbers of the recorded range; change it where the range follows from a size."""',
            "    return lambda size, generator: torch.randint(low, high + 1, size, generator=generator)",
            "",
            "",
        ]
    if "torch_rand" in everything:
        lines += [
            "def torch_rand(size, generator):",
            '    """Numbers from 0 to 1: none below 0 was recorded."""',
            "    return torch.rand(size, generator=generator)",
            "",
            "",
        ]
    return lines


def _tunable(value: Any, values: tuple | None) -> str:
    if values is None:
        return f"PowerOf2({max(1, value // REACH)}, {value * REACH}, default={value})"
    if all(type(one) is int and one > 0 and not one & (one - 1) for one in values):
        return f"PowerOf2({max(1, min(values) // 2)}, {max(values) * 2}, default={values[0]})"
    return f"Choice({', '.join(map(repr, values))})"
