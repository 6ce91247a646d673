"""Rows to draw from, and checks of draws, whichever way they are made."""

import torch

from cold_kernels.cases import Case, errors
from cold_kernels.contrastive import sample_cpu, sample_reference
from cold_kernels.contrastive.sample import contrastive_sample as spec

OPERANDS = ("expert", "amateur", "log_alpha", "beta", "temperature", "top_k", "top_p", "uniform")


def operands(text, seed=0, **changed):
    """Of a case, numbers for all rows changed by name."""
    args = Case.parse(text, spec).tensors(spec, seed)
    args |= {name: torch.full_like(args[name], value) for name, value in changed.items()}
    return {name: args[name] for name in OPERANDS}


def assert_right(args, choice):
    assert errors(spec, {**args, "choice": choice})["choice"] <= 1


def in_torch(args):
    choice = torch.full([len(args["expert"])], -1)
    sample_cpu.sample(choice=choice, **args)
    return choice


def expected(args):
    return sample_reference.sample(**args)["choice"].long()


def flat(vocabulary, rows, **changed):
    """Nothing masked and hardly a token likelier than another, so that no lane holds all that counts."""
    text = f"B={rows} V={vocabulary} dtype=fp32"
    defaults = dict(log_alpha=-60.0, beta=0.5, temperature=20.0, top_k=0, top_p=0.5)
    return operands(text, **(defaults | changed))


def tied(vocabulary, rows, top_k, dtype=torch.float16):
    """Every other token is best, so that ties are cut at ``top_k``."""
    logits = torch.zeros(rows, vocabulary, dtype=dtype)
    logits[:, ::2] = 1.0
    numbers = dict(log_alpha=-2.0, beta=0.0, temperature=1.0, top_p=1.0)
    by_row = {name: torch.full([rows], value) for name, value in numbers.items()}
    draws = (torch.arange(rows) + 0.5) / rows
    return dict(
        expert=logits, amateur=logits, **by_row, top_k=torch.full([rows], top_k, dtype=torch.int32), uniform=draws
    )
