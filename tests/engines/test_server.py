"""The server through OpenAI's client: contrast by request, its errors, and many clients of which some go away."""

import asyncio
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import openai
import pytest

from .served import LETTERS
from .server import serving

pytestmark = pytest.mark.engine
EXAMPLE = Path(__file__).parents[2] / "examples" / "contrast_client.py"
CLIENTS = 50
SECONDS = float(os.environ.get("COLD_KERNELS_CLIENTS_SECONDS", "20"))
"""How long many clients keep the server busy."""


@pytest.fixture(scope="module")
def server(served, tmp_path_factory):
    with serving(served, tmp_path_factory.mktemp("server") / "log.txt", "--max-num-seqs", "16") as found:
        yield found


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none")


def ids(text: str) -> list[int]:
    """Tokens of ASCII text, each letter's place in the alphabet of bytes."""
    return [LETTERS.index(letter if letter != " " else "Ġ") for letter in text]


def complete(client, prompt, model="math", **options):
    extra = options.pop("extra", dict(cold_beta=0.5))
    body = {"vllm_xargs": extra, "return_token_ids": True, "ignore_eos": True} | options.pop("body", {})
    return client.completions.create(
        model=model, prompt=prompt, **{"max_tokens": 12, "temperature": 0.0, **options}, extra_body=body
    )


def test_contrast_by_request(served, client):
    for adapter in served.adapters:
        for beta, alpha in ((0.5, 0.1), (1.0, 0.3)):
            answer = complete(client, "hello world", adapter, extra=dict(cold_beta=beta, cold_alpha=alpha))
            expected = served.expected(ids("hello world"), 12, adapter, beta=beta, alpha=alpha)
            assert answer.choices[0].token_ids == expected
    plain = complete(client, "hello world", body=dict(vllm_xargs=None))
    assert plain.choices[0].token_ids == served.expected(ids("hello world"), 12, "math")


def test_usage_and_metrics_count_a_pair_once(server, client):
    before = [server.metric("prompt_tokens_total"), server.metric("generation_tokens_total")]
    answer = complete(client, "counted once")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (12, 12)
    after = [server.metric("prompt_tokens_total"), server.metric("generation_tokens_total")]
    assert [late - early for early, late in zip(before, after, strict=True)] == [12, 12]


def test_a_stream_gives_the_same_text(client):
    whole = complete(client, "stream me").choices[0].text
    assert "".join(part.choices[0].text for part in complete(client, "stream me", stream=True)) == whole


def test_chat(served, client):
    answer = client.chat.completions.create(
        model="style",
        messages=[{"role": "user", "content": "hello"}],
        max_tokens=8,
        temperature=0.0,
        extra_body=dict(vllm_xargs=dict(cold_beta=0.5), return_token_ids=True, ignore_eos=True),
    )
    assert answer.choices[0].token_ids == served.expected(ids("hello"), 8, "style", beta=0.5, alpha=0.1)


def test_stop_strings_end_both_rows(server, client):
    text = complete(client, "find a stop", max_tokens=24).choices[0].text
    stop = next(letter for letter in text[2:] if letter.isascii() and letter.isprintable())
    answer = complete(client, "find a stop", max_tokens=24, stop=[stop])
    assert answer.choices[0].finish_reason == "stop" and answer.choices[0].text == text[: text.index(stop)]
    assert idle(server)


def test_several_answers_seeds_and_logprobs(client):
    drawn = [complete(client, "draw", temperature=1.0, seed=5, n=2, logprobs=1) for _ in range(2)]
    first, second = ([choice.token_ids for choice in answer.choices] for answer in drawn)
    assert first == second and first[0] != first[1]
    assert all(len(choice.logprobs.token_logprobs) == 12 for choice in drawn[0].choices)


@pytest.mark.parametrize(
    "options, said",
    [
        (dict(extra=dict(cold_beta=-1)), "cold_beta is -1; it must be 0 or more"),
        (dict(extra=dict(cold_alpha=0.5)), "cold_alpha does nothing without cold_beta"),
        (dict(presence_penalty=1.0), "presence_penalty is 1.0 beside cold_beta"),
        (dict(body=dict(cold_beta=0.5)), "vllm_xargs"),
        (dict(body=dict(use_beam_search=True), n=2), "use_beam_search"),
    ],
)
def test_what_cannot_be_honoured_is_a_bad_request(client, options, said):
    with pytest.raises(openai.BadRequestError, match=said):
        complete(client, "bad", **options)


def idle(server, seconds: float = 20) -> bool:
    """Whether nothing runs or waits, after a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if server.metric("num_requests_running") == 0 == server.metric("num_requests_waiting"):
            return server.metric("kv_cache_usage_perc") == 0
        time.sleep(0.5)
    return False


def test_many_clients_of_which_some_go_away(served, server):
    """Nothing is lost, no pair is torn, and memory stays as it is."""

    async def one(client, drawn) -> str:
        prompt = "".join(drawn.choices("abcdefgh ", k=drawn.randint(3, 60)))
        adapter, contrast = drawn.choice([*served.adapters, "base"]), drawn.random() < 0.7
        extra = dict(cold_beta=drawn.choice([0.25, 0.5]), cold_alpha=0.1) if contrast else None
        body = {"vllm_xargs": extra, "return_token_ids": True, "ignore_eos": True}
        options = dict(model=adapter, prompt=prompt, max_tokens=drawn.randint(1, 24), temperature=0.0, extra_body=body)
        if drawn.random() < 0.4:
            stream = await client.completions.create(**options, stream=True)
            async for _ in stream:
                if drawn.random() < 0.2:
                    await stream.close()
                    return "left"
            return "read"
        answer = await client.completions.create(**options)
        name = None if adapter == "base" else adapter
        scores = dict(beta=extra["cold_beta"], alpha=0.1) if contrast and name else {}
        wanted.append((answer.choices[0].token_ids, ids(prompt), options["max_tokens"], name, scores))
        return "answered"

    async def busy(seconds: float) -> list[str]:
        end, done = time.monotonic() + seconds, []
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:

            async def keep_on(place: int) -> None:
                drawn = random.Random(place)
                while time.monotonic() < end:
                    done.append(await one(client, drawn))

            await asyncio.gather(*map(keep_on, range(CLIENTS)))
        return done

    wanted: list[tuple] = []
    asyncio.run(busy(min(SECONDS, 10)))
    before = server.resident_mib()
    done = asyncio.run(busy(SECONDS))
    assert {"left", "read", "answered"} <= set(done)
    for found, prompt, new, name, scores in random.Random(0).sample(wanted, min(40, len(wanted))):
        assert found == served.expected(prompt, new, name, **scores)
    assert idle(server) and server.process.poll() is None
    assert server.resident_mib() < before * 1.05 + 50


def test_the_example(server):
    command = [sys.executable, EXAMPLE, f"{server.url}/v1", "math", "three cats"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    alone, contrast = (part for part in done.stdout.partition("\ncontrast: ") if part != "\ncontrast: ")
    assert alone.startswith("adapter alone: ") and contrast
