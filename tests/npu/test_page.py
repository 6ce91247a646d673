"""What ``docs/simulated_npu.md`` shows works as it stands."""

import re

from .processes import ROOT, run_pytest

PAGE = (ROOT / "docs" / "simulated_npu.md").read_text()


def test_the_example_passes(tmp_path):
    (code,) = re.findall(r"```python\n# test_softmax\.py\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "test_softmax.py").write_text(code)
    code, said = run_pytest("-q", "-n", "0", "--npu-report", "report.html", folder=tmp_path)
    assert code == 0 and "1 passed" in said and "softmax" in said, said


def test_the_table_has_every_option():
    said = run_pytest("--help")[1]
    options = set(re.findall(r"--npu-[a-z-]+", said))
    assert options == set(re.findall(r"`(--npu-[a-z-]+)", PAGE.partition("## Options")[2].partition("##")[0]))


def test_the_workflow_says_what_the_page_says():
    workflow = (ROOT / "examples" / "ci" / "simulated_npu.yml").read_text()
    commands = PAGE.partition("```bash\n")[2].partition("```")[0].splitlines()
    for command in commands:
        words = command.partition("   #")[0].split("pytest -p")[0].strip()
        assert words in workflow
