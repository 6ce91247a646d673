"""``--fail-on``: which findings make the command fail."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cold_kernels.ascend.findings.codes import CODES, CONSTEXPR_FOLLOWS_BATCH

from ..profiled import ProfiledKernel
from .constexpr_follows_batch import unchecked

ANY = "any"


@dataclass(frozen=True)
class Rule:
    """Fail on findings of a code, or of `ANY`, whose share of the kernel's cycles together is at least ``share``."""

    code: str
    share: float | None = None

    def __str__(self) -> str:
        return self.code if self.share is None else f"{self.code}:{100 * self.share:g}%"

    def against(self, found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The findings that break the rule: all of a code with that share, and those that have no price in cycles."""
        against = []
        for code in CODES if self.code == ANY else (self.code,):
            mine = [one for one in found if one["code"] == code]
            priced = [one["share"] for one in mine if one["share"] is not None]
            if self.share is None or len(priced) < len(mine) or (mine and sum(priced) >= self.share):
                against += mine
        return against


def rules(texts: Iterable[str]) -> list[Rule]:
    """The rules in the values of ``--fail-on``, each of them one or several between commas: ``CODE`` or ``CODE:5%``.

    Raises:
        ValueError: an unknown code, or a threshold that is no percentage.
    """
    return [_rule(word.strip()) for text in texts for word in text.split(",")]


def _rule(word: str) -> Rule:
    code, colon, share = word.partition(":")
    if code not in CODES and code != ANY:
        raise ValueError(f"--fail-on {word}: there is no finding {code!r}; use {', '.join(CODES)}, or {ANY}")
    if not colon:
        return Rule(code)
    if code == CONSTEXPR_FOLLOWS_BATCH:
        raise ValueError(f"--fail-on {word}: its price is a compilation and no share of cycles; write {code} alone")
    try:
        least = float(share.removesuffix("%"))
    except ValueError:
        least = -1.0
    if not share.endswith("%") or not 0 <= least <= 100:
        raise ValueError(f"--fail-on {word}: write the least share of the kernel's cycles from 0% to 100%: {code}:5%")
    return Rule(code, least / 100)


def check(wanted: Iterable[Rule], kernel: ProfiledKernel) -> None:
    """Raise ValueError for a rule that a kernel could never break, as nobody can look."""
    codes = {rule.code for rule in wanted}
    for code in codes.intersection(unchecked(kernel)):
        raise ValueError(
            f"--fail-on {code}: nothing says which dimension of {kernel.kernel} is the batch; it "
            "takes a KernelSpec whose bucket names it, and a tensor that has it first"
        )


def broken(wanted: Iterable[Rule], found: Sequence[dict[str, Any]]) -> bool:
    """Whether findings break a rule; says on standard error which ones and where."""
    said = False
    for rule in wanted:
        for one in rule.against(found):
            price = "" if one["share"] is None else f" costs {one['share']:.1%} of the cycles"
            print(f"simulate: --fail-on {rule}: {one['code']} at {one['file']}:{one['line']}{price}", file=sys.stderr)
            said = True
    return said
