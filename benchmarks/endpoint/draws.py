"""Repeatable randomness: the same prompt asked for the n-th time draws the same number, in every process."""

from __future__ import annotations

from zlib import crc32

_MASK = (1 << 64) - 1


def key_of(prompt: str) -> int:
    """The number that stands for a prompt."""
    return crc32(prompt.encode("utf-8", "surrogatepass"))


def draw(key: int, n: int, salt: int) -> float:
    """A number in (0, 1): the finaliser of SplitMix64 (Steele, Lea and Flood, 2014) over key, n and salt.

    >>> draw(1, 0, 0) == draw(1, 0, 0), draw(1, 0, 0) == draw(1, 1, 0)
    (True, False)
    """
    x = (key + n * 0x9E3779B97F4A7C15 + salt * 0xD1B54A32D192ED03 + 0x632BE59BD9B4E019) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((x ^ (x >> 31)) + 0.5) / 18446744073709551616.0
