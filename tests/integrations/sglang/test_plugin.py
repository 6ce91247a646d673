"""How the backend gets into SGLang, and what happens under a version that was not read."""

import argparse
import logging
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from cold_kernels.integrations.sglang import NAME, READ_VERSIONS, plugin

from .standin import BaseLoRABackend, HookRegistry, install


@pytest.fixture
def under(monkeypatch):
    """What is registered once SGLang of this version has loaded the plugin."""

    def load(version=READ_VERSIONS[-1], **changes):
        monkeypatch.setattr(plugin, "version", lambda name: version)
        registered = install(monkeypatch, **changes)
        plugin.register()
        return registered

    return load


def parser(choices=("triton",)):
    made = argparse.ArgumentParser(exit_on_error=False)
    made.add_argument("--lora-backend", choices=list(choices))
    return made


def test_the_backend_is_offered_and_made_only_when_asked_for(under, caplog):
    caplog.set_level(logging.WARNING)
    registered = under()
    (target, hook, when), line = HookRegistry.hooks[0], parser()
    assert (target, when) == ("sglang.srt.server_args.ServerArgs.add_cli_args", "after")
    hook(None, line)
    hook(None, line)
    assert line.parse_args(["--lora-backend", NAME]).lora_backend == NAME
    assert line._actions[-1].choices.count(NAME) == 1
    made = registered[NAME]()
    assert issubclass(made, BaseLoRABackend) and made.name == NAME
    assert not caplog.records


def test_the_distribution_has_the_entry_point():
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    ((name, value),) = project["entry-points"]["sglang.srt.plugins"].items()
    assert EntryPoint(name, value, "sglang.srt.plugins").load() is plugin.register


def test_another_version_gets_a_warning_that_names_both(under, caplog):
    caplog.set_level(logging.WARNING)
    registered = under("0.6.0")
    assert not caplog.records  # nobody has asked for it yet
    registered[NAME]()
    (record,) = caplog.records
    assert "sglang 0.6.0" in record.getMessage() and "0.5.23" in record.getMessage()


def test_a_base_class_without_the_calls_is_refused(under):
    class Older:
        prepare_lora_batch = None

    with pytest.raises(ValueError, match="sglang 0.5.0 has no forward_with_base, get_batch_info, .* 0.5.23"):
        under("0.5.0", BaseLoRABackend=Older)[NAME]()


def test_without_a_registry_sglang_goes_on_and_is_told(monkeypatch, caplog):
    monkeypatch.setattr(plugin, "version", lambda name: "0.4.0")
    install(monkeypatch)
    monkeypatch.delitem(sys.modules, "sglang.srt.lora.backend.lora_registry")
    plugin.register()
    (record,) = caplog.records
    assert "--lora-backend cold_kernels is not offered" in record.getMessage() and not HookRegistry.hooks
