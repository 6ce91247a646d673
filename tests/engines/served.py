"""A small model on disk as engines load it, adapters beside it, and what each request must give."""

from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ..decoding.tiny import Reference, save_adapter, tiny_model

LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
CONTEXT = 256
ADAPTERS = dict(
    math=dict(r=8, seed=1),
    style=dict(r=4, seed=2, lora_alpha=16, target_modules=["q_proj", "v_proj", "up_proj", "down_proj"]),
    other=dict(r=8, seed=3, use_rslora=True),
)


@dataclass
class Served:
    """A model's folder, its adapters' folders by name, and references by name; None names the base model."""

    folder: Path
    adapters: dict[str, Path]
    references: dict[str | None, Reference]

    def expected(self, prompt: list[int], new: int, adapter: str | None, **options) -> list[int]:
        """Greedy tokens of PEFT without a cache; without ``beta`` and ``alpha`` those of the adapter alone."""
        return self.references[adapter].greedy(prompt, new, **({"alpha": None, "beta": 0.0} | options))


def served(root: Path, adapters: dict[str, dict] = ADAPTERS, **changes) -> Served:
    """Make the folders under ``root``.

    Args:
        adapters: PEFT's configuration of each by name, and the seed of its values.
        changes: Of the model's configuration.
    """
    sizes = dict(
        vocab_size=len(LETTERS),
        hidden_size=128,
        intermediate_size=192,
        max_position_embeddings=CONTEXT,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.15,
    )
    model = tiny_model("llama", **{**sizes, **changes})
    save(root / "model", model)
    folders = {name: save_adapter(root / name, model, **config) for name, config in adapters.items()}
    references = {name: Reference(model, folder) for name, folder in folders.items()}
    return Served(root / "model", folders, {None: Reference(model), **references})


def save(folder: Path, model: PreTrainedModel) -> None:
    """A model with a tokenizer of single bytes, so that text can be sent to a server."""
    model.save_pretrained(folder)
    tokenizer = Tokenizer(models.BPE({letter: place for place, letter in enumerate(LETTERS)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    chat = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=chat).save_pretrained(folder)
