"""The report as one HTML page that needs no network."""

from collections.abc import Iterator
from html import escape
from typing import Any

from .text import title

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1b1f24 }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .35rem .6rem; vertical-align: top }
th { border-bottom: 2px solid #888 } td { border-bottom: 1px solid #ddd } .n { text-align: right; white-space: nowrap }
code { font: 13px ui-monospace, monospace } .hazard { color: #a40000 } .small { color: #555; font-size: 13px }
"""
NUMBERS = (
    ("launches", "launches", "{}"),
    ("device_us", "device time, us (simulated)", "{:.1f}"),
    ("simulate_seconds", "simulating, s (this machine)", "{:.2f}"),
    ("compile_seconds", "compiling, s (this machine)", "{:.2f}"),
)


def page(record: dict[str, Any]) -> str:
    """The record as HTML."""
    heads = "".join(f'<th class="n">{name}</th>' for _, name, _ in NUMBERS)
    rows = "".join(_row(kernel) for kernel in record["kernels"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title(record))}</title>'
        f"<style>{STYLE}</style><h1>{escape(title(record))}</h1>"
        "<p>Device times are simulated from the programs that the Ascend compiler made, and never measured. "
        "Findings are those of each kernel's longest launch.</p>"
        f"<table><tr><th>kernel</th>{heads}<th>longest launch</th></tr>{rows}</table></html>\n"
    )


def _row(kernel: dict[str, Any]) -> str:
    numbers = "".join(f'<td class="n">{text.format(kernel[key])}</td>' for key, _, text in NUMBERS)
    name = f'<code>{escape(kernel["name"])}</code><div class="small">{escape(kernel["file"])}</div>'
    return f"<tr><td>{name}</td>{numbers}<td>{''.join(_longest(kernel))}</td></tr>"


def _longest(kernel: dict[str, Any]) -> Iterator[str]:
    longest = kernel["longest"]
    grid = " x ".join(map(str, longest["grid"]))
    yield f"{longest['us']:.1f} us on the grid {grid}, bound by {escape(longest['bound'])}"
    for finding in longest["findings"]:
        share = "" if finding["share"] is None else f", {finding['share']:.0%} of the cycles"
        place = f"{escape(finding['file'])}:{finding['line']}"
        yield f"<p><b>{escape(finding['code'])}</b>{share}<br><code>{place}: {escape(finding['text'])}</code><br>"
        yield f"{escape(finding['reason'])} <i>{escape(finding['help'])}</i></p>"
    if "no_findings_because" in longest:
        yield f'<p class="small">no findings: {escape(longest["no_findings_because"])}</p>'
    for hazard in kernel["hazards"]:
        yield f'<p class="hazard">{escape(hazard)}</p>'
