"""Figures of pages written anew by the commands that the pages name."""

import pytest

from bench import pages
from bench.__main__ import main

COMMAND = "python -m bench host --json"
PAGE = f"""# A page

<!-- {COMMAND} -->
old

figures
<!-- end -->

<!-- python -m bench step --picture new.png -->

![steps](new.png)
"""


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page with figures and a picture, in a repository of its own."""
    (tmp_path / "docs").mkdir()
    path = tmp_path / "docs" / "page.md"
    path.write_text(PAGE)
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    return path


def test_figures_are_put_in_the_place_of_old_ones(page, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(pages, "output", lambda command: asked.append(command) or "new figures")
    assert main(["pages"]) == 0
    assert asked == [COMMAND, "python -m bench step --picture new.png"]
    text = page.read_text()
    assert (
        text == PAGE.replace("old\n\nfigures\n", "new figures\n\n")
        and capsys.readouterr().out == "wrote docs/page.md\n"
    )
    assert main(["pages", str(page)]) == 0
    assert page.read_text() == text and not capsys.readouterr().out


def test_a_command_that_fails_leaves_the_page_alone(page, monkeypatch, capsys):
    page.write_text(PAGE.replace(COMMAND, "python -m json.tool none.json"))
    before = page.read_text()
    assert main(["pages"]) == 1
    said = capsys.readouterr().err
    assert "python -m json.tool none.json ends with 2: " in said and "none.json" in said
    assert page.read_text() == before


def test_other_pages_are_refused(page, tmp_path, capsys):
    assert main(["pages", str(tmp_path / "none.md")]) == 2
    assert "none.md: no page of this repository; use one of docs/page.md" in capsys.readouterr().err
