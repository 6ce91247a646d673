"""Rows in packed passes: any tokens of any rows in one pass, with neither padding nor copies of the attention cache."""

import contextlib
import threading
from collections.abc import Iterator, Sequence

import torch
from transformers import Cache, PreTrainedConfig, PreTrainedModel
from transformers.cache_utils import CacheLayerMixin, get_layer_types_and_kwargs
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ..model.feed import Acting, Feed
from ..model.growth import dropped
from ..model.kinds import text_config
from ..model.model_pass import ModelPass
from .attention import Chunk, Fed, Pair, Singles, plan, written
from .shelves import Shelves

NAME = "cold_kernels_packed"
STOCK = "sdpa"
"""The attention of transformers whose place is taken, for the time of a pass."""
UNDERSTOOD = {
    "dropout",
    "is_causal",
    "position_ids",
    "use_cache",
    "output_attentions",
    "output_router_logits",
    "sliding_window",
}
"""Arguments of an attention that change nothing of what is computed, or are known from the configuration."""


FEW, FASTER = 8, 16
"""MKL multiplies 16 rows in float32 faster than 8 to 15: 60 weights of 1707 x 640 took 56 ms for 8 rows, 66 for 12, 72
for 14 and 50 for 16 (CPU time, one thread, AVX-512)."""
FAMILIES = frozenset((
    "afmoe", "apertus", "arcee", "aria_text", "beam", "bert", "bert-generation", "biogpt", "bitnet", "cohere",
    "cohere2", "cohere2_moe", "cohere_compass_text", "ctrl", "cwm", "dbrx", "dots1", "electra",
    "emu3_text_model", "ernie", "ernie4_5", "ernie4_5_moe", "exaone4", "exaone_moe", "flex_olmo", "gemma",
    "gemma3_text", "gemma4_text", "gemma4_unified_text", "glm", "glm4", "glm4_moe", "gpt2", "gpt_bigcode", "gpt_neox",
    "granite", "granitemoe", "granitemoeshared", "helium", "hunyuan_v1_dense", "hunyuan_v1_moe", "hy_v3",
    "hyperclovax", "internlm3", "iquestcoder", "jais2", "kolibri1", "laguna", "lfm2", "llama", "mellum", "minimax_m2",
    "minimax_m3_vl_text", "ministral", "ministral3", "mistral", "mixtral", "modernbert-decoder", "nanochat",
    "nemotron", "olmo", "olmo2", "olmo3", "olmoe", "opt", "persimmon", "phi", "phi3", "phi4_multimodal", "phimoe",
    "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "roc_bert", "seed_oss", "smollm3", "solar_open", "stablelm",
    "starcoder2",
))  # fmt: skip
"""Types of models that the sweep over families has seen to be right in packed passes, also beyond their windows."""


class _Layer(CacheLayerMixin):
    """A layer's share in a pass; what is kept lies on shelves."""

    def __init__(self, shelves: int) -> None:
        super().__init__()
        self.shelves = shelves
        self.new: Pair | None = None
        self.token_bytes = 0

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None: ...

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_args, **_kwargs) -> Pair:
        self.new = key_states, value_states
        self.token_bytes = (key_states.nbytes + value_states.nbytes) // key_states.shape[2]
        return self.new

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return query_length, 0

    def get_seq_length(self) -> int:
        return 0

    def get_max_length(self) -> int:
        return -1


class _Pass(threading.local):
    """What this thread's pass attends to; None outside of one."""

    model: PreTrainedModel | None = None
    layers: list[_Layer] = []
    work: list[list[Singles | Chunk]] = []
    attended: set[int] = set()


_pass = _Pass()


def _attend(module, query, key, value, attention_mask, scaling=None, **others) -> tuple[torch.Tensor, None]:
    if _pass.model is None:  # another thread's pass of the base model
        return ALL_ATTENTION_FUNCTIONS[STOCK](module, query, key, value, attention_mask, scaling=scaling, **others)
    layer, which = _pass.layers[module.layer_idx], f"attention of layer {module.layer_idx}"
    if layer.new is None:
        raise RuntimeError(f"{which} is not given the cache; {dropped(_pass.model)}")
    unknown = [name for name, given in others.items() if name not in UNDERSTOOD and given is not None]
    if attention_mask is not None and attention_mask.numel() != 1:
        raise RuntimeError(f"{which} is given a mask of its own, and cannot be packed")
    if unknown or key is not layer.new[0] or value is not layer.new[1]:
        why = f"is given {', '.join(unknown)}" if unknown else "looks at other keys than those that it keeps"
        raise RuntimeError(f"{which} {why}, and cannot be packed")
    output = query.new_zeros(query.shape[2], query.shape[1], value.shape[3])
    for work in _pass.work[layer.shelves]:
        work.attend(module.layer_idx, query, layer.new, scaling, output)
    layer.new = None
    _pass.attended.add(module.layer_idx)
    return output[None], None


ALL_ATTENTION_FUNCTIONS.register(NAME, _attend)
ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, sdpa_mask)


def attends_as_stock(model: PreTrainedModel) -> bool:
    """Whether the model's attention is the one whose place a packed pass takes."""
    return text_config(model)._attn_implementation == STOCK


def windows(config: PreTrainedConfig) -> list[int | None] | None:
    """How far back each layer looks; None where a layer's attention is of another kind."""
    kinds, options = get_layer_types_and_kwargs(config)
    if not set(kinds) <= {"full_attention", "sliding_attention"}:
        return None
    return [each.get("sliding_window") for each in options]


def may_pack(forward: ModelPass) -> bool:
    """Whether the model is of a family that has been seen to be right in packed passes, also of long texts."""
    config = text_config(forward.model)
    known = config.model_type in FAMILIES and forward.positions and forward.takes_mask
    return known and attends_as_stock(forward.model) and windows(config) is not None


class PackedRows:
    """Rows of a model whose attention can be packed, each with its keys and values.

    Args:
        forward: How the model is called, which may have adapters injected.
    """

    packs = True

    def __init__(self, forward: ModelPass) -> None:
        self._forward, self._config = forward, text_config(forward.model)
        of_layers = windows(self._config)
        kinds = list(dict.fromkeys(of_layers))
        self._shelves = [Shelves(window) for window in kinds]
        self._layers = [_Layer(kinds.index(window)) for window in of_layers]
        self._slots: dict[int, int] = {}
        self._lengths: dict[int, int] = {}
        self._next = 0
        self.weights_bytes = sum(weight.nbytes for weight in forward.model.parameters())
        # A mask of four dimensions is taken as it is; what is made of it is told from it by its size.
        self._mask = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=self._device)

    @property
    def _device(self) -> torch.device:
        return self._forward.model.device

    @property
    def on_cpu(self) -> bool:
        return self._device.type == "cpu"

    def open(self, slot: int) -> int:
        """A new row, with the adapter of a slot; -1 for the base model."""
        row, self._next = self._next, self._next + 1
        self._slots[row], self._lengths[row] = slot, 0
        for shelves in self._shelves:
            shelves.open(row, slot < 0)
        return row

    def close(self, row: int) -> None:
        """Forget a row."""
        del self._slots[row], self._lengths[row]
        for shelves in self._shelves:
            shelves.close(row)

    def take_back(self, row: int, count: int) -> None:
        """Forget the last tokens of a row, which came in its last pass."""
        self._lengths[row] -= count
        for shelves in self._shelves:
            shelves.take_back(row, count)

    def forward(self, feeds: Sequence[Feed], acting: Acting) -> torch.Tensor:
        """One pass; logits ``[feeds, V]``."""
        counts = {feed.row: len(feed.tokens) for feed in feeds}
        for shelves in self._shelves:
            shelves.make_room(counts)
        order = sorted(range(len(feeds)), key=lambda i: self._place(feeds[i]))
        fed, ids, positions, slots, last = [], [], [], [], []
        for i in order:
            row, tokens = feeds[i]
            fed.append(Fed(row, len(ids), len(tokens)))
            ids += tokens
            positions += range(self._lengths[row], self._lengths[row] + len(tokens))
            slots += [self._slots[row]] * len(tokens)
            last.append(len(ids) - 1)
        for _ in range(self._missing(len(ids))):
            ids, positions, slots = [*ids, 0], [*positions, 0], [*slots, -1]
        kept, slots = self._tensor(last), self._tensor(slots) if any(slot >= 0 for slot in slots) else None
        with self._packed(fed), acting(slots, (1, len(ids)), kept):
            logits = self._forward(
                self._tensor([ids]), Cache(layers=self._layers), self._mask, self._tensor([positions]), kept
            )[0]
        for shelves in self._shelves:
            written(shelves, fed)
        for row, count in counts.items():
            self._lengths[row] += count
        if order == list(range(len(feeds))):
            return logits
        return logits[self._tensor(order).argsort()]

    def bytes_read(self, tokens: int) -> int:
        """Bytes of keys and values that an attention of one row of so many tokens reads."""
        seen = [tokens if shelves.window is None else min(tokens, shelves.window) for shelves in self._shelves]
        return sum(layer.token_bytes * seen[layer.shelves] for layer in self._layers)

    @property
    def held_bytes(self) -> int:
        """Bytes of all keys and values, with the room that is set aside."""
        return sum(shelves.held_bytes for shelves in self._shelves)

    def _tensor(self, values: list) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self._device)

    def _place(self, feed: Feed) -> tuple[bool, bool, int, int]:
        """Rows that are fed a token each come in the order of their shelves."""
        place = self._shelves[0].places[feed.row]
        return len(feed.tokens) > 1, self._slots[feed.row] < 0, place.shelf.tokens, place.index

    def _missing(self, tokens: int) -> int:
        """Tokens to add to a pass, of no row, with which it is faster."""
        few = FEW <= tokens < FASTER and self.on_cpu and self._forward.model.dtype == torch.float32
        return FASTER - tokens if few else 0

    @contextlib.contextmanager
    def _packed(self, fed: list[Fed]) -> Iterator[None]:
        """Around the model's pass: its attention is ours, in this thread."""
        _pass.work = [plan(shelves, fed, self._device) for shelves in self._shelves]
        _pass.model, _pass.layers, _pass.attended = self._forward.model, self._layers, set()
        self._config._attn_implementation_internal = NAME
        try:
            yield
            if missing := set(range(len(self._layers))) - _pass.attended:
                raise RuntimeError(f"attention of layer {min(missing)} has not run; the model cannot be packed")
        finally:
            self._config._attn_implementation_internal = STOCK
            _pass.model, _pass.layers, _pass.work = None, [], []
