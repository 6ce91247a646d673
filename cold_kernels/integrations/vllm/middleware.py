"""HTTP requests whose contrast vLLM's server would drop without a word: answered with status 400 and the reason."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .names import ALPHA, BETA

Message = MutableMapping[str, Any]
Receive, Send = Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]
HANDED_ON = ("/completions", "/responses")
"""Ends of the paths whose ``vllm_xargs`` reach the sampler."""


def refusal(path: str, body: Any) -> str | None:
    """Why a request must not run, as its contrast would be ignored; None if nothing is.

    Args:
        path: Of the URL.
        body: The decoded JSON; a server's own checks see to what is none.
    """
    if not isinstance(body, dict):
        return None
    if outside := [name for name in (BETA, ALPHA) if name in body]:
        return f'{outside[0]} stands beside the fields of OpenAI; give "vllm_xargs": {{"{outside[0]}": ...}}'
    extra = body.get("vllm_xargs")
    if not isinstance(extra, dict) or not any(name in extra for name in (BETA, ALPHA)):
        return None
    if not path.rstrip("/").endswith(HANDED_ON):
        return f"{path} does not hand vllm_xargs on, so there would be no contrast; use /v1/completions or the chat's"
    if body.get("use_beam_search"):
        return "use_beam_search is true, and beam search leaves vllm_xargs out; leave out one of them"
    return None


class RefuseWhatIsIgnored:
    """An ASGI middleware; see `refusal`. All other requests pass as they are."""

    def __init__(self, app: Callable) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        messages, body = [], b""
        while True:
            messages.append(await receive())
            body += messages[-1].get("body", b"")
            if not messages[-1].get("more_body"):
                break
        reason = refusal(scope["path"], _decoded(body)) if b"cold_" in body else None
        if reason is None:
            await self._app(scope, _replayed(messages, receive), send)
            return
        error = {"message": reason, "type": "BadRequestError", "param": "vllm_xargs", "code": 400}
        content = json.dumps({"error": error}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 400, "headers": headers})
        await send({"type": "http.response.body", "body": content})


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _replayed(messages: list[Message], receive: Receive) -> Receive:
    """What was received already, and then what comes: that a client has gone."""
    waiting = iter(messages)

    async def again() -> Message:
        message = next(waiting, None)
        return await receive() if message is None else message

    return again
