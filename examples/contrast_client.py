"""Ask a server that `python -m decoding serve` has started: the adapter alone, and with contrast.

python examples/contrast_client.py http://127.0.0.1:8000/v1 math "How many legs have three cats?"
"""

import sys

from openai import OpenAI


def main(url: str, adapter: str, prompt: str) -> None:
    client = OpenAI(base_url=url, api_key="none")
    for title, contrast in (("adapter alone", None), ("contrast", {"cold_beta": 0.5, "cold_alpha": 0.1})):
        stream = client.completions.create(
            model=adapter,
            prompt=prompt,
            max_tokens=64,
            temperature=0,
            stream=True,
            extra_body={"vllm_xargs": contrast},
        )
        print(f"{title}: ", end="")
        for part in stream:
            print(part.choices[0].text, end="", flush=True)
        print()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
