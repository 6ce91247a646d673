"""Text as tokens come: pieces that end with whole characters, and together are what the tokenizer decodes."""

import re
from collections.abc import Iterator

from transformers import PreTrainedTokenizerBase

from .loop.decode import Token

UNFINISHED = "\N{REPLACEMENT CHARACTER}"
"""What decoders put for bytes that are no character, or not yet."""
BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
"""A token of one byte; decoders of such tokens read a run of them at once, so that a run is not begun to be told."""
CLEANED = "x . x ? x ! x , x ' x n't x 'm x 's x 've x 're"
"""What a tokenizer that cleans up spaces decodes to something else."""


def with_text(steps: Iterator[Token], tokenizer: PreTrainedTokenizerBase) -> Iterator[Token]:
    """The steps, each with the text that it adds to its request's.

    Raises:
        ValueError: something that is no tokenizer of transformers'.
    """
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        wanted = "it must be a tokenizer of transformers', as AutoTokenizer.from_pretrained gives"
        raise ValueError(f"tokenizer is a {type(tokenizer).__name__}; {wanted}")
    return _with_text(steps, tokenizer)


def _with_text(steps: Iterator[Token], tokenizer: PreTrainedTokenizerBase) -> Iterator[Token]:
    texts: dict[int, Text] = {}
    for step in steps:
        text = texts.setdefault(step.request, Text(tokenizer))
        piece = "" if step.token is None else text.add(step.token)
        if step.finish_reason is not None:
            piece += text.rest()
        yield step._replace(text=piece)


class Text:
    """The text of one request, piece by piece.

    Only the last tokens are decoded each time: those that the last piece was made of, which show where words join,
    and those since.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer, self._told = tokenizer, ""
        self._all: list[int] = []
        self._ids: list[int] = []
        """Those that are not special."""
        self._start = self._end = 0
        """Of the tokens that the last piece was made of."""
        self._shown = ""
        """They, decoded."""
        self._cleans = _cleans(tokenizer)

    def add(self, token: int) -> str:
        """What can be told with one more token."""
        self._all.append(token)
        if self._is_special(token):
            return ""
        self._ids.append(token)
        if BYTE.fullmatch(self._tokenizer.convert_ids_to_tokens(token) or ""):
            return ""
        return self._tell(self._clean_piece() if self._cleans else self._piece())

    def rest(self) -> str:
        """What is left at the end.

        Raises:
            ValueError: a tokenizer whose decoding of all tokens does not begin with that of fewer.
        """
        whole = self._tokenizer.decode(self._all, skip_special_tokens=True)
        if not whole.startswith(self._told):
            kind = type(self._tokenizer).__name__
            raise ValueError(f"tokenizer {kind} does not decode from left to right; decode the tokens at the end")
        return self._tell(whole[len(self._told) :])

    def _tell(self, piece: str) -> str:
        self._told += piece
        return piece

    def _piece(self) -> str:
        window = self._decode(self._ids[self._start :])
        piece = window[len(self._shown) :]
        if not piece or window.endswith(UNFINISHED) or not window.startswith(self._shown):
            return ""
        self._start, self._end = self._end, len(self._ids)
        self._shown = self._decode(self._ids[self._start :])
        return piece

    def _clean_piece(self) -> str:
        """Up to the second space from the end: what follows may take either away, and one beside an apostrophe."""
        whole = self._tokenizer.decode(self._all, skip_special_tokens=True)
        end = whole.rfind(" ", 0, max(whole.rfind(" "), 0))
        while end > 0 and whole[end - 1] == "'":
            end = whole.rfind(" ", 0, end)
        whole = whole[: max(end, 0)]
        return whole[len(self._told) :] if whole.startswith(self._told) else ""

    def _is_special(self, token: int) -> bool:
        return bool(self._tokenizer.decode([token])) and not self._decode([token])

    def _decode(self, ids: list[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def _cleans(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether spaces before punctuation are taken away: what a tokenizer says of itself holds for some kinds alone."""
    if not tokenizer.clean_up_tokenization_spaces:
        return False
    ids = tokenizer(CLEANED, add_special_tokens=False).input_ids
    return tokenizer.decode(ids) != tokenizer.decode(ids, clean_up_tokenization_spaces=False)
