"""The prefill forms do what the decode forms do with each sequence's index repeated over its rows."""

import pytest
import torch

pytest.importorskip("triton")
hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

import cold_kernels
from tests.every_kernel import bits
from tests.ops.layouts import FLOATS, INDICES, every_other

HIDDEN, RANK = 33, 5
OPERATORS = ("shrink", "expand", "expand_slice")


class Call:
    """The arguments of one prefill operator by name, to be changed and then run."""

    def __init__(self, operator, lengths, slots, dtype=torch.float16, index_dtype=torch.int64, layers=False):
        rows, generator = sum(lengths), torch.Generator().manual_seed(len(lengths))
        self.operator = operator
        wide, narrow = (HIDDEN, RANK) if operator == "shrink" else (RANK, HIDDEN)
        weights = torch.randn(3, narrow, wide, generator=generator).to(dtype)
        output = HIDDEN + 7 if operator == "expand_slice" else narrow
        name = "lora_a_weights" if operator == "shrink" else "lora_b_weights"
        self.args = {
            "inputs": torch.randn(rows, wide, generator=generator).to(dtype),
            name: weights[:, None] if layers else weights,
            "output_tensor": torch.randn(rows, output, generator=generator),
            "b_seq_start_loc": torch.tensor([0, *lengths]).cumsum(0)[:-1].to(index_dtype),
            "seq_len_tensor": torch.tensor(lengths, dtype=index_dtype),
            "lora_indices_tensor": torch.tensor(slots, dtype=index_dtype),
            "batches": len(lengths),
            "max_seq_length": max(lengths, default=0),
            "token_nums": rows,
        }
        if operator == "shrink":
            self.args["scaling"] = 0.5
        elif operator == "expand_slice":
            self.args |= dict(slice_offset=4, slice_size=HIDDEN)

    def run(self, *more):
        """By position, as vLLM calls it."""
        getattr(cold_kernels, f"sgmv_{self.operator}")(*self.args.values(), *more)
        return self.args["output_tensor"]

    def expected(self, *more):
        lengths, slots = self.args["seq_len_tensor"].tolist(), self.args["lora_indices_tensor"].tolist()
        by_row = [slot for slot, length in zip(slots, lengths, strict=True) for _ in range(length)]
        output = self.args["output_tensor"].clone()
        first, last = list(self.args.values())[:2], list(self.args.values())[9:]
        getattr(cold_kernels, f"bgmv_{self.operator}")(
            *first, output, torch.tensor(by_row, dtype=torch.int64), *last, *more
        )
        return output


@settings(deadline=None, max_examples=30)
@given(
    data=st.data(), operator=st.sampled_from(OPERATORS), lengths=st.lists(st.integers(0, 5), max_size=5),
    dtype=st.sampled_from(FLOATS), index_dtype=st.sampled_from(INDICES), layers=st.booleans(),
)  # fmt: skip
def test_any_sequences(data, operator, lengths, dtype, index_dtype, layers):
    slots = data.draw(st.lists(st.integers(-1, 2), min_size=len(lengths), max_size=len(lengths)))
    call = Call(operator, lengths, slots, dtype, index_dtype, layers)
    more = [] if operator == "shrink" else [data.draw(st.booleans())]
    expected = call.expected(*more)
    assert torch.equal(bits(call.run(*more)), bits(expected))


def test_a_row_of_each_in_float64():
    call = Call("expand", [2, 0, 1, 3], [1, 2, -1, 0], torch.float32)
    before = call.args["output_tensor"].clone()
    y = call.run(True)
    for row, slot in enumerate([1, 1, None, 0, 0, 0]):
        weights, x = call.args["lora_b_weights"].double(), call.args["inputs"].double()
        delta = 0 if slot is None else weights[slot] @ x[row]
        assert torch.allclose(y[row].double(), before[row].double() + delta, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("operator", ["expand", "expand_slice"])
def test_overwriting_is_the_default(operator):
    call = Call(operator, [2, 1], [0, -1])
    expected, added = call.expected(False), call.expected(True)
    assert not torch.equal(expected, added)
    assert torch.equal(call.run(), expected)


@pytest.mark.parametrize("operator", OPERATORS)
def test_starts_and_longest_are_not_read(operator):
    call = Call(operator, [2, 0, 3], [0, 1, -1])
    call.args |= dict(b_seq_start_loc=None, max_seq_length=-5)
    expected = call.expected(*[] if operator == "shrink" else [False])
    assert torch.equal(call.run(), expected)


def test_lengths_and_indices_of_any_stride_and_mixed_types():
    call = Call("shrink", [2, 0, 3], [0, 1, -1])
    expected = call.expected()
    for name, dtype in (("seq_len_tensor", torch.int32), ("lora_indices_tensor", torch.int64)):
        call.args[name] = every_other(call.args[name].to(dtype))
    assert torch.equal(call.run(), expected)


BAD = {
    "inputs-no-tensor": ("inputs", None, TypeError, "inputs must be a tensor, not NoneType"),
    "inputs-dims": ("inputs", torch.ones(5), ValueError, "inputs must have 2 dimensions"),
    "lengths-list": ("seq_len_tensor", [2, 0, 3], TypeError, "seq_len_tensor must be a tensor, not list"),
    "lengths-float": ("seq_len_tensor", torch.ones(3), TypeError, "seq_len_tensor must be .*int64, not torch.float32"),
    "lengths-few": ("seq_len_tensor", torch.tensor([2, 3]), ValueError, "number of sequences 2, but batches has 3"),
    "lengths-negative": ("seq_len_tensor", torch.tensor([6, -2, 1]), ValueError, "seq_len_tensor holds -2"),
    "lengths-short": ("seq_len_tensor", torch.tensor([2, 0, 2]), ValueError, "in all has number of rows 4, but .* 5"),
    "lengths-long": ("seq_len_tensor", torch.tensor([2, 1, 3]), ValueError, "in all has number of rows 6, but .* 5"),
    "batches": ("batches", 2, ValueError, "seq_len_tensor has number of sequences 3, but batches has 2"),
    "rows": ("token_nums", 6, ValueError, "inputs has number of rows 5, but token_nums has 6"),
    "indices-list": ("lora_indices_tensor", [0, 1, -1], TypeError, "lora_indices_tensor must be a tensor"),
    "indices-few": ("lora_indices_tensor", torch.tensor([0, 1]), ValueError, "lora_indices_tensor has number of seq"),
    "indices-past": ("lora_indices_tensor", torch.tensor([3, 0, 0]), IndexError, "holds 3; it must be from -1"),
    "output": ("output_tensor", torch.ones(4, 40), (TypeError, ValueError), "output_tensor"),
}


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("name, value, error, complaint", BAD.values(), ids=BAD)
def test_a_bad_argument(operator, name, value, error, complaint):
    call = Call(operator, [2, 0, 3], [0, 1, -1])
    before, held = call.args["output_tensor"].clone(), call.args["output_tensor"]
    call.args[name] = value
    with pytest.raises(error, match=complaint):
        call.run()
    assert torch.equal(held, before)
