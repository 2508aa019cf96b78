"""What calls in flight will take, from what others took that lasted as long."""

from __future__ import annotations

import math
from collections.abc import Iterable

from streamgen.llm.account import Entry

# Classes of duration, two to an octave: from 1/16 s to a minute, and what is shorter and longer.
_SHORTEST, _LONGEST = -7, 13  # by the exponent of the square
_CLASSES = _LONGEST - _SHORTEST + 1
_UPPER_S = [2.0 ** ((k + _SHORTEST) / 2) for k in range(_CLASSES)]
_FEW, _LEARNED = 32.0, 2048.0  # answers after which what is known weighs half: at first, and later
_TIMES = 8  # and as many as that times those in flight: their mean is known better than their sum is certain
_WEIGHT = 0.15  # of the newest estimate: three times as fast as estimates follow the answers
_SURE = 3.25  # standard deviations
_MOST_DOUBT = 0.5  # of the limit: nobody starves of doubt
_SKEW = (_SURE * _SURE - 1.0) / 6.0  # of the third moment over the second (Cornish and Fisher, 1938)


class Foresight:
    """Expects of each call in flight what calls took that lasted at least as long, and how far that may be off.

    Long calls are in flight for longer, so those in flight are not like those that answered: at the beginning only the
    short ones have, and later there are more of the long ones among those in flight (the inspection paradox). So calls
    in flight count as what they are, lives that have lasted so long already (Kaplan and Meier, 1958): of the calls
    that reach a class of duration, some end in it, and take what those took that ended there; the others take what is
    expected one class later. What outlives all that is known takes as much as the largest, or twice what it could have
    written by now at the known speed.

    A call that is expected to be larger than usual by its estimate is so here too.
    """

    __slots__ = (
        "_aloft", "_cap", "_cubes", "_ended", "_is_new", "_known", "_lean", "_most", "_most_doubt", "_new",
        "_new_variance", "_reached", "_seconds", "_skew", "_squares", "_step", "_sums", "_tokens", "_variance",
        "bias", "spare", "usual",
    )  # fmt: skip

    def __init__(self, limit: float) -> None:
        self._most_doubt = _MOST_DOUBT * limit
        self._reached = [0.0] * _CLASSES  # calls that have lasted so long
        self._ended = [0.0] * _CLASSES  # of them did not reach the next class
        self._sums = [0.0] * _CLASSES  # of what those took
        self._squares, self._cubes = [0.0] * _CLASSES, [0.0] * _CLASSES
        self._new = [0] * _CLASSES  # of them since the last look
        self._aloft = [0] * _CLASSES  # in flight at the last look
        self._known, self._cap = 0.0, _FEW
        self._is_new = True  # nothing has been learned
        self._tokens = self._seconds = self._most = 0.0
        self._lean = self._variance = self._skew = 0.0  # of what those in flight take beyond what was reserved
        self._new_variance = 0.0  # of a call that starts
        self._step = 0.0  # by which one more in flight adds to `spare`
        self.usual = 0.0  # estimate
        self.bias = 0.0  # by how much it is too low, 0 where it is too high
        self.spare = 0.0  # what those in flight and one more may take beyond what is reserved for them

    def start(self, tokens: float) -> float:
        """A call of so much by its estimate starts; returns what is usual."""
        if not self.usual:
            self._begin(tokens)
        self.usual = usual = self.usual + _WEIGHT * (tokens - self.usual)
        self.spare += self._step
        return usual

    def learn(self, used: float, seconds: float) -> None:
        """A call of the usual estimate took so much, and was in flight for so long."""
        k = math.frexp(seconds * seconds)[1] - _SHORTEST
        k = 0 if k < 0 else k if k < _CLASSES else _CLASSES - 1
        if self._is_new:  # the first estimates are no more than what is allowed: later ones are not like them
            self._is_new, self.usual = False, 0.0
        self._new[k] += 1
        self._sums[k] += used
        self._squares[k] += (square := used * used)
        self._cubes[k] += square * used
        self._tokens += used
        self._seconds += seconds
        if used > self._most:
            self._most = used

    def look(self, entries: Iterable[Entry], gone: int, now: float) -> None:
        """Take the calls in flight for what they are now; so many more started before all `entries`."""
        aloft, presumed = [0] * _CLASSES, 0.0
        k, since = _CLASSES - 1, now - _UPPER_S[_CLASSES - 2]
        for entry in entries:
            if entry.flying:
                while k and entry.at > since:
                    k -= 1
                    since = now - _UPPER_S[k - 1] if k else math.inf
                aloft[k] += entry.flying
                presumed += entry.presumed
        aloft[-1] += gone
        self._count(aloft)
        self._expect(gone, presumed)
        if self._known >= max(self._cap, _TIMES * sum(aloft)):
            self._halve()

    def _count(self, aloft: list[int]) -> None:
        came = 0
        for k in range(_CLASSES - 1, -1, -1):
            new = self._new[k]
            came += new + aloft[k] - self._aloft[k]
            self._reached[k] += came
            self._ended[k] += new
            self._known += new
            self._new[k] = 0
        self._aloft = aloft

    def _expect(self, gone: int, presumed: float) -> None:
        """From the longest to the shortest: what is expected of a call that has reached a class, by three moments."""
        lean, variance, third = -presumed, 0.0, 0.0
        mean, square, cube = self._beyond()
        for k in range(_CLASSES - 1, -1, -1):
            aloft, ended = self._aloft[k], self._ended[k]
            m, s, c = mean, square, cube  # of those that are in the midst of the class
            if ended:
                share = ended / max(ended, self._reached[k] - 0.5 * aloft)
                x, xx, xxx = self._sums[k] / ended, self._squares[k] / ended, self._cubes[k] / ended
                half = share / (2.0 - share)  # of them end in the other half of it
                m, s, c = m + half * (x - m), s + half * (xx - s), c + half * (xxx - c)
                mean, square, cube = (
                    mean + share * (x - mean), square + share * (xx - square), cube + share * (xxx - cube)
                )  # fmt: skip
            if k == _CLASSES - 1:
                aloft -= gone
            if aloft:
                lean += aloft * m
                variance += aloft * (s - m * m)
                third += aloft * (c - 3.0 * m * s + 2.0 * m * m * m)
        if self._known:
            self._new_variance = max(0.0, square - mean * mean)
            self.bias = max(0.0, mean - self.usual) if self.usual else 0.0
            variance += (sum(self._aloft) - gone) ** 2 * self._new_variance / self._known  # of what is known itself
        self._lean, self._variance = lean, max(0.0, variance)
        self._skew = _SKEW * max(0.0, third) / variance if variance > 1e-6 else 0.0
        self._provide()

    def _begin(self, tokens: float) -> None:
        self.usual = tokens
        if self._is_new:
            self._most, self._new_variance = tokens, tokens * tokens
            self._provide()

    def _provide(self) -> None:
        deviation = math.sqrt(self._variance + self._new_variance)
        doubt = self._skew + _SURE * deviation
        self.spare = max(0.0, self._lean + min(doubt, self._most_doubt))
        # No call up to the next look adds more than the first, since the sum is under a root.
        self._step = _SURE * (math.sqrt(self._variance + 2.0 * self._new_variance) - deviation)

    def _beyond(self) -> tuple[float, float, float]:
        """What is expected of a call that outlives all that is known: moments of an exponential distribution."""
        last = max((k for k in range(_CLASSES) if self._ended[k] or self._aloft[k]), default=0)
        speed = self._tokens / self._seconds if self._seconds else 0.0
        mean = min(max(self._most, 2.0 * speed * _UPPER_S[last]), 4.0 * self._most)
        return mean, 2.0 * mean * mean, 6.0 * mean * mean * mean

    def _halve(self) -> None:
        """Forget, but not who is in flight: those will end with their full weight."""
        self._reached = [0.5 * (reached + aloft) for reached, aloft in zip(self._reached, self._aloft, strict=True)]
        self._ended, self._sums, self._squares, self._cubes = (
            [0.5 * value for value in values] for values in (self._ended, self._sums, self._squares, self._cubes)
        )
        self._tokens, self._seconds, self._known = 0.5 * self._tokens, 0.5 * self._seconds, 0.5 * self._known
        self._cap = min(2.0 * self._cap, _LEARNED)
