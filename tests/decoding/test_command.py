"""What the command line says where it is wrong, before a model is loaded."""

import pytest

pytest.importorskip("rich")
pytest.importorskip("transformers")
from decoding.__main__ import main

MODEL = ("--model", "package:no_such_package", "--prompt", "x")


def said(capsys, *arguments):
    try:
        code = main(list(arguments))
    except SystemExit as stopped:  # argparse
        code = stopped.code
    assert code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (("generate",), "the following arguments are required: --model, --prompt"),
        (("generate", *MODEL), "no package no_such_package is installed; pip install --no-deps no-such-package"),
        (("generate", *MODEL, "--adapter", "folder"), "--adapter folder: give NAME=FOLDER"),
        (("generate", *MODEL, "--adapter", "a=b", "--expert", "c"), "--expert c is none of a"),
        (("generate", *MODEL, "--compare"), "--compare needs an --adapter NAME=FOLDER"),
        (("generate", "--model", "no/such/file.gguf", "--prompt", "x"), "no file no/such/file.gguf"),
    ],
)
def test_complaints(arguments, complaint, capsys):
    assert complaint in said(capsys, *arguments)


def test_an_adapter_is_not_written_over(tmp_path, capsys):
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "holds an adapter already" in said(capsys, "example-adapter", str(tmp_path), "--model", "package:x")
