"""What the endpoint says: a text that depends on the prompt alone, and the bodies around it."""

from __future__ import annotations

from math import exp
from statistics import NormalDist
from typing import NamedTuple

from benchmarks.endpoint.config import Config
from benchmarks.endpoint.draws import draw

POOL = 1024
_WORDS = """amber anchor answer autumn basket beacon bridge candle canyon carbon castle cellar circle copper corner
cotton desert dinner doctor dragon engine evening fabric farmer feather filter forest friend garden gentle glacier
golden gravel hammer harbor harvest hidden island jacket journey kettle ladder lantern letter linen little maple
market meadow mellow mirror morning mountain narrow needle number object ocean orange orchard paper pebble pencil
pepper planet pocket quiet rabbit reason river rocket saddle sailor season shadow silent silver simple singer small
spring stone summer sunlight table temple thunder ticket timber travel tunnel valley velvet violet walnut water
weather whisper window winter wonder yellow""".split()  # noqa: SIM905


class Text(NamedTuple):
    """One answer's words and what they cost."""

    words: str
    tokens: int


class Answers:
    """A pool of texts from which each prompt gets one, with the prompt's number in front."""

    def __init__(self, config: Config) -> None:
        self._pool = [_text(index, _count(config, index)) for index in range(POOL)]

    def tokens(self, key: int) -> int:
        """The completion tokens of the prompt's answer."""
        return self._pool[key % POOL].tokens

    def text(self, key: int) -> str:
        """The prompt's answer."""
        return f"{key:08x} {self._pool[key % POOL].words}"

    def body(self, key: int, prompt_tokens: int) -> bytes:
        """The answer in the dialect."""
        text = self._pool[key % POOL]
        words = f"{key:08x} {text.words}"
        return _body(key, words, "stop", prompt_tokens, text.tokens)

    def empty(self, key: int, prompt_tokens: int) -> bytes:
        """An answer that says nothing."""
        return _body(key, "", "stop", prompt_tokens, 0)

    def truncated(self, key: int, prompt_tokens: int) -> bytes:
        """An answer whose tokens ran out before any text."""
        return _body(key, "", "length", prompt_tokens, self.tokens(key))

    def malformed(self, key: int, prompt_tokens: int) -> bytes:
        """An answer that is no JSON."""
        body = self.body(key, prompt_tokens)
        return body[: len(body) // 2]


def _count(config: Config, index: int) -> int:
    """The number of words: the quantiles of a log-normal, shuffled."""
    if not config.words_sigma:
        return config.words
    quantile = NormalDist().inv_cdf((index * 617 % POOL + 0.5) / POOL)
    return max(1, round(config.words * exp(config.words_sigma * quantile)))


def _text(index: int, count: int) -> Text:
    words = " ".join(_WORDS[int(draw(index, n, 3) * len(_WORDS))] for n in range(count))
    return Text(words, (len(words) + 9) // 4)


def _body(key: int, words: str, finish: str, prompt_tokens: int, tokens: int) -> bytes:
    return (
        f'{{"id":"chatcmpl-{key:08x}","object":"chat.completion","created":1700000000,"model":"mock","choices":'
        f'[{{"index":0,"message":{{"role":"assistant","content":"{words}"}},"finish_reason":"{finish}"}}],"usage":'
        f'{{"prompt_tokens":{prompt_tokens},"completion_tokens":{tokens},"total_tokens":{prompt_tokens + tokens}}}}}'
    ).encode()
