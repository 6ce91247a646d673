"""Run every Python snippet of the README, given what the text around it presumes.

    python -P readme_snippets.py README.md

It needs nothing but what is installed, so that CI can run it on an installed wheel: with -P, outside of the repository.
"""

import contextlib
import re
import sys
import tempfile
from pathlib import Path

import torch

KERNEL = """
import triton
import triton.language as tl

@triton.jit
def double(x_ptr, y_ptr, n, TILE: tl.constexpr):
    for start in range(tl.program_id(0) * TILE, n, tl.num_programs(0) * TILE):
        place = start + tl.arange(0, TILE)
        tl.store(y_ptr + place, 2 * tl.load(x_ptr + place, mask=place < n), mask=place < n)
"""


def operands() -> dict:
    """Of the kernels: 5 tokens, 3 adapters of rank 4, hidden size 32, 40 outputs; logits of 50 tokens."""
    tokens, adapters, rank, hidden, outputs = 5, 3, 4, 32, 40
    indices = torch.tensor([0, -1, 2, 1, -1])
    return dict(
        inputs=torch.randn(tokens, hidden, dtype=torch.float16),
        lora_a_weights=torch.randn(adapters, rank, hidden, dtype=torch.float16),
        lora_b_weights=torch.randn(adapters, outputs, rank, dtype=torch.float16),
        low_rank=torch.full([tokens, rank], torch.nan),
        output_tensor=torch.zeros(tokens, outputs, dtype=torch.float16),
        lora_indices_tensor=indices,
        indices=indices,
        lora_a=torch.randn(adapters, 3, rank, hidden, dtype=torch.float16),
        lora_b=torch.randn(adapters, outputs, rank, dtype=torch.float16),
        qkv=torch.zeros(tokens, outputs, dtype=torch.float16),
        slice_starts=torch.tensor([0, 16, 24]),
        expert_logits=torch.randn(2, 50),
        amateur_logits=torch.randn(2, 50),
    )


def decoder(folder: Path) -> dict:
    """A random model of two layers, and an adapter for it that PEFT saves into ``path/to/adapter``."""
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = dict(vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4)
    make = LlamaConfig(**sizes, num_key_value_heads=2, max_position_embeddings=512)
    model = LlamaForCausalLM(make).eval()
    adapted = get_peft_model(LlamaForCausalLM(make), LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
    adapted.save_pretrained(folder / "path/to/adapter")
    return dict(model=model, ids=[1, 2, 3])


def launch(folder: Path) -> dict:
    """A kernel, in a file as Triton wants it, and its arguments."""
    (folder / "double.py").write_text(KERNEL)
    sys.path.insert(0, str(folder))
    from double import double

    x = torch.randn(5000, dtype=torch.float16)
    return dict(kernel=double, x=x, y=torch.full_like(x, torch.nan), n=len(x))


def main(readme: Path) -> None:
    """Run the snippets one after the other, in one namespace."""
    text = readme.read_text()
    snippets = list(re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        folder = Path(name)
        names = operands() | decoder(folder) | launch(folder)
        for snippet in snippets:
            line = text[: snippet.start(1)].count("\n")
            exec(compile("\n" * line + snippet[1], readme.name, "exec"), names)  # so that errors name README's lines
    assert names["low_rank"].isfinite().all() and torch.equal(names["y"], 2 * names["x"])
    assert all(names[output].any() for output in ("output_tensor", "qkv"))
    print(f"{len(snippets)} snippets of {readme.name} ran")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
