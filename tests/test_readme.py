"""The README's and the other pages' figures, links and snippets are those of the project."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.pages import generated, output, pages

ROOT = Path(__file__).parent.parent
PAGES = {str(page.relative_to(ROOT)): page.read_text() for page in pages()}
GENERATED = [(name, each) for name in PAGES for each in generated(ROOT / name)]
FIGURES = [(name, each.command, each.text) for name, each in GENERATED if each.picture is None]
PICTURES = [(name, each.command, each.picture) for name, each in GENERATED if each.picture]


@pytest.mark.parametrize("page, command, block", FIGURES, ids=[f"{page}: {command}" for page, command, _ in FIGURES])
def test_figures_are_those_on_disk(page, command, block):
    pytest.importorskip("triton")
    pytest.importorskip("rich")
    printed = output(command)
    assert printed and block.strip() == printed


def test_each_command_in_a_comment_writes_figures_or_a_picture():
    commands = sum(len(re.findall(r"^<!-- python -m ", text, re.M)) for text in PAGES.values())
    assert commands == len(FIGURES) + len(PICTURES) and FIGURES and PICTURES
    for page, command, picture in PICTURES:
        assert (ROOT / picture).is_file() and Path(picture).name in PAGES[page].replace(command, "")


def anchors(text):
    """What GitHub makes of the headings, for links to them."""
    headings = re.findall(r"^#+ (.*)", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", PAGES[page].replace("\n", " ")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page} links to {link}"
        if anchor:
            assert anchor in anchors(target.read_text()), f"{page} links to {link}"


def test_snippets_run():
    for needed in ("triton.backends.ascend", "ascendnpuir", "xdsl", "transformers", "peft"):
        pytest.importorskip(needed)
    command = [sys.executable, "-m", "tests.readme_snippets", "README.md"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "snippets of README.md ran" in run.stdout
