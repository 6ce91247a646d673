"""Ways to damage the folder of a saved adapter."""

import json
import struct

import torch
from safetensors.torch import load_file, save_file

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
Q = "base_model.model.model.layers.0.self_attn.q_proj.lora_"


def config(text=None, **changes):
    """Damage to the configuration: a text in its place, or other values; None removes one."""

    def damage(folder):
        values = {**json.loads((folder / CONFIG).read_text()), **changes}
        kept = {name: value for name, value in values.items() if value is not None}
        (folder / CONFIG).write_text(json.dumps(kept) if text is None else text)

    return damage


def weights(change):
    """Damage to the tensors: ``change`` is given them by name."""

    def damage(folder):
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / WEIGHTS)

    return damage


def entry(value, name=Q + "B.weight"):
    return weights(lambda tensors: tensors[name][3].fill_(value))


def file(content, name=WEIGHTS):
    """Damage to a file's bytes: ``content`` makes them of those that it had."""
    return lambda folder: (folder / name).write_bytes(content((folder / name).read_bytes()))


def climb(name):
    def damage(folder):
        (folder / name).rename(folder.parent / "outside")
        (folder / name).symlink_to("../outside")

    return damage


def pickle(folder):
    torch.save(load_file(folder / WEIGHTS), folder / "adapter_model.bin")
    (folder / WEIGHTS).unlink()


def huge(_):
    header = json.dumps({Q + "A.weight": dict(dtype="F32", shape=[4, 10**9], data_offsets=[0, 16 * 10**9])}).encode()
    return struct.pack("<Q", len(header)) + header
