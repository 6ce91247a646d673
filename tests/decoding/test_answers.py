"""`generate` where something is broken, cannot be shown, or ends early: one line, and no answer is lost."""

import io
import os
import re
import shutil

import pytest

pytest.importorskip("rich")
pytest.importorskip("transformers")
pytest.importorskip("peft")
from safetensors.torch import load_file, save_file

from decoding import ContrastiveLoRA, Request
from decoding.__main__ import main
from decoding.models import load

from .test_text import byte_level
from .tiny import save_adapter, tiny_model

NEW = 6


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a model and its tokenizer, and one with an adapter for it."""
    home = tmp_path_factory.mktemp("home")
    tokenizer = byte_level()
    model = tiny_model(vocab_size=len(tokenizer))
    model.save_pretrained(home / "model")
    tokenizer.save_pretrained(home / "model")
    save_adapter(home / "adapter", model)
    return home


def generate(home, *arguments, model=None):
    named = ("--model", str(model or home / "model"), "--adapter", f"math={home / 'adapter'}")
    return main(["generate", *named, "--max-new-tokens", str(NEW), *arguments])


@pytest.fixture(scope="module")
def answers(home):
    """What there is to say to two prompts."""
    model, tokenizer = load(str(home / "model"))
    cold = ContrastiveLoRA(model, {"math": home / "adapter"})
    requests = [Request(tokenizer(prompt).input_ids, "math", max_new_tokens=NEW) for prompt in ("one", "二")]
    return [tokenizer.decode(result.tokens, skip_special_tokens=True) for result in cold.generate(requests)]


PROMPTS = ("--prompt", "one", "--prompt", "二")


def one_line(capsys):
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if line.startswith("generate: ")]
    assert not said.out and len(lines) == 1 and said.err.endswith(lines[0] + "\n") and "Traceback" not in said.err
    return lines[0]


def of(name, change):
    """A change to one of the files of a model."""

    def damage(folder):
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return damage


def without_a_weight(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def empty(folder):
    shutil.rmtree(folder)
    folder.mkdir()


BROKEN = {
    "cut weights": (of("model.safetensors", lambda all_: all_[:-100]), "cannot be loaded as a causal .* incomplete"),
    "cut header": (of("model.safetensors", lambda all_: all_[:20]), "cannot be loaded as a causal language model: "),
    "no weights": (of("model.safetensors", lambda all_: b""), "cannot be loaded as a causal language model: "),
    "a weight is lacking": (without_a_weight, "lacks 1 weights of a LlamaForCausalLM, such as model.layers.1.mlp.up"),
    "no JSON": (of("config.json", lambda all_: all_[:9]), "cannot be loaded as a causal .* not a valid JSON"),
    "no model": (empty, "cannot be loaded as a causal language model: "),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "cannot be loaded as a causal language"),
    "no folder": (shutil.rmtree, "cannot be loaded as a causal language model: "),
}


@pytest.mark.parametrize("damage, complaint", BROKEN.values(), ids=BROKEN)
def test_a_model_that_is_broken(home, tmp_path, capsys, damage, complaint):
    model = shutil.copytree(home / "model", tmp_path / "model")
    damage(model)
    assert generate(home, *PROMPTS, model=model) == 2
    assert re.search(complaint, one_line(capsys))


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory):
    """The beginning of what there would be to say about a model, and one of its weights."""
    gguf, numpy = pytest.importorskip("gguf"), pytest.importorskip("numpy")
    file = tmp_path_factory.mktemp("gguf") / "model.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    for add in (writer.add_block_count, writer.add_head_count, writer.add_head_count_kv):
        add(1)
    for add in (writer.add_embedding_length, writer.add_feed_forward_length, writer.add_context_length):
        add(32)
    writer.add_vocab_size(40)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([chr(33 + i) for i in range(40)])
    writer.add_tensor("token_embd.weight", numpy.ones((40, 32), numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


@pytest.mark.parametrize("share", [0.0, 0.005, 0.05, 0.5, 0.999])
def test_a_cut_gguf_file(home, gguf_file, tmp_path, capsys, share):
    whole = gguf_file.read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[: int(share * len(whole))])
    assert generate(home, *PROMPTS, model=tmp_path / "cut.gguf") == 2
    assert "cut.gguf cannot be loaded as a causal language model: " in one_line(capsys)


def test_a_prompt_that_is_not_utf8(home, capsys):
    assert generate(home, "--prompt", "one", "--prompt", b"caf\xe9".decode("utf-8", "surrogateescape")) == 2
    assert one_line(capsys) == r"generate: --prompt 'caf\udce9' is not UTF-8"


def test_all_prompts_are_checked_before_any_is_answered(home, capsys):
    assert generate(home, "--prompt", "one", "--prompt", "x" * 200) == 2
    assert "--prompt 2: request 0: input_ids has " in one_line(capsys)


def test_a_broken_adapter(home, tmp_path, capsys):
    adapter = shutil.copytree(home / "adapter", tmp_path / "adapter")
    of("adapter_model.safetensors", lambda all_: all_[:-5])(adapter)
    assert generate(home, *PROMPTS, "--adapter", f"broken={adapter}") == 2
    assert "adapter 'broken': adapter_model.safetensors is broken" in one_line(capsys)


def test_answers(home, answers, capsys):
    assert generate(home, *PROMPTS) == 0
    assert capsys.readouterr().out == "".join(f"{answer}\n" for answer in answers)


@pytest.fixture
def output(monkeypatch):
    """Stands in for stdout; what it was given comes back as text in its encoding."""

    def put(encoding, terminal=False):
        told = []

        class Raw(io.BytesIO):
            def write(self, data):
                told.append(bytes(data).decode(encoding))
                return super().write(data)

        stream = io.TextIOWrapper(Raw(), encoding=encoding)
        stream.isatty = lambda: terminal
        monkeypatch.setattr("sys.stdout", stream)
        return told

    return put


@pytest.mark.parametrize("terminal", [False, True])
def test_an_ascii_terminal(home, answers, output, terminal):
    assert not all(map(str.isascii, answers))
    told = output("ascii", terminal)
    assert generate(home, *PROMPTS) == 0
    escaped = [answer.encode("ascii", "backslashreplace").decode() for answer in answers]
    assert "".join(told) == "".join(f"{answer}\n" for answer in escaped)


def test_a_comparison_on_an_ascii_terminal(home, output):
    told = output("ascii")
    assert generate(home, "--prompt", "二", "--compare") == 0
    assert r"\u4e8c" in "".join(told)


def test_a_terminal_is_told_as_tokens_come(home, answers, output):
    told = output("utf-8", terminal=True)
    assert generate(home, *PROMPTS) == 0
    assert "".join(told) == "".join(f"{answer}\n" for answer in answers)
    assert len(told) > 4


@pytest.mark.parametrize("terminal", [False, True])
def test_ctrl_c(home, answers, output, capsys, monkeypatch, terminal):
    """While the second answer is decoded: the first is there, and the beginning of the second."""
    stream, begun = ContrastiveLoRA.stream, []

    def interrupted(self, *args):
        begun.append(1)
        steps, last = stream(self, *args), len(begun) == 2

        def told():
            for place, step in enumerate(steps):
                if last and place == 4:
                    raise KeyboardInterrupt
                yield step

        return told()

    monkeypatch.setattr(ContrastiveLoRA, "stream", interrupted)
    told = output("utf-8", terminal)
    assert generate(home, *PROMPTS) == 130
    first, second, rest = "".join(told).split("\n")
    assert first == answers[0] and answers[1].startswith(second) and second and not rest
    assert capsys.readouterr().err.endswith("generate: interrupted\n")


def test_a_reader_that_has_gone_away(home, capsys, monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        assert generate(home, *PROMPTS) == 1
    assert "Traceback" not in capsys.readouterr().err
