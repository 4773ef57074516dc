"""The baseline: a token's chance by the few tokens before it, counted (n-grams that back off)."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

Context = tuple[int, ...]


class Ngram:
    """Witten and Bell's interpolation (1991, as Chen and Goodman 1999, section 2.5, write it): what follows a context
    c<h> times, t<h> different tokens among that, has

        p(w | h) = (c(h w) + t<h> p(w | h')) / (c<h> + t<h>)         h' is h without its first token

    and without any context all tokens of the vocabulary are as likely.
    """

    def __init__(self, tunes: Iterable[Sequence[int]], order: int, size: int) -> None:
        """Count ``tunes``, ids of ``size`` tokens, each from its first token on; ``order`` is n."""
        self.order, self.size = order, size
        self.counts: dict[Context, Counter[int]] = defaultdict(Counter)
        for tune in tunes:
            for place in range(1, len(tune)):
                for n in range(min(order, place + 1)):
                    self.counts[tuple(tune[place - n : place])][tune[place]] += 1
        self.totals = {context: sum(counter.values()) for context, counter in self.counts.items()}

    def chance(self, token: int, before: Sequence[int]) -> float:
        """Of ``token`` behind ``before``."""
        found = 1 / self.size
        for n in range(min(self.order, len(before) + 1)):
            context = tuple(before[len(before) - n :])
            counter = self.counts.get(context)
            if counter is None:
                break
            found = (counter[token] + len(counter) * found) / (self.totals[context] + len(counter))
        return found

    def bits(self, tune: Sequence[int]) -> float:
        """Of all tokens of a tune but its first."""
        return -sum(math.log2(self.chance(tune[i], tune[max(0, i - self.order) : i])) for i in range(1, len(tune)))

    def likeliest(self, before: Sequence[int]) -> int:
        """The token with the best chance behind ``before``, of those that ever came behind its longest known end."""
        for n in reversed(range(min(self.order, len(before) + 1))):
            if counter := self.counts.get(tuple(before[len(before) - n :])):
                return max(counter, key=lambda token: (self.chance(token, before), -token))
        return 0
