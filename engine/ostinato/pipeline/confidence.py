"""What a number of recordings can tell: an interval of an error rate or a mean, and whether two models differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from statistics import NormalDist

import numpy as np

from ostinato.pipeline.score import Errors

METHOD = "Wilson's score interval over the effective number of {unit}s"
"""How `interval` works, in a line for people; ``unit`` is what is right or wrong."""
MEAN_METHOD = "Student's t over the utterances, by the ratio estimator"
"""How `mean_interval` works."""
LEVEL = 0.95
EXACT = 12
"""Up to so many recordings that differ, `chance` goes through all 2^n cases."""
DRAWS = 9999


def interval(recordings: Sequence[Errors]) -> tuple[float, float] | None:
    """The 95 % interval of the error rate that recordings like these have; None where it cannot be known: of fewer
    than two recordings, as nothing shows how recordings differ, or where nothing was said.

    Wilson's score interval (1927) over n_eff = n / deff of the n symbols. Symbols of one recording err together (a
    voice, a room), so deff, Kish's design effect (1965), is how much more the recordings' errors vary than
    independent symbols would, at least 1:

        var(p) = k / (k - 1) * sum (errors_i - p n_i)^2 / n^2         of k recordings, p = errors / n
        deff   = max(1, var(p) / (v(p) / n))

    A symbol has at most one substitution or deletion (a binomial), but any number of insertions (a Poisson count),
    so v(p) = p - (f p)^2, where f is the share of the errors that are no insertions: Wilson's p (1 - p) if there are
    none. Of made-up recordings, 2 to 100 with 4 to 8 words each, it held the true rate in 94 to 98 % of the cases
    with independent words, and in 90 to 97 % with a correlation of 0.1 within a recording; with one of 0.3 and two
    recordings in 82 %, so of few recordings it is rather too narrow. Resampling the recordings (bootstrap) held it in
    20 to 70 % of the cases with 2 or 3 recordings, whose errors it cannot know to vary.
    """
    everything = sum(recordings, Errors())
    k, n = len(recordings), everything.symbols
    if k < 2 or not n:
        return None
    p = everything.rate
    bounded = ((everything.total - everything.insertions) / everything.total) ** 2 if everything.total else 1.0
    independent = (p - bounded * p**2) / n
    observed = k / (k - 1) * sum((one.total - p * one.symbols) ** 2 for one in recordings) / n**2
    effective = n / max(1.0, observed / independent) if independent > 0 else n
    z2 = NormalDist().inv_cdf((1 + LEVEL) / 2) ** 2 / effective
    # The p for which (p - rate)^2 = z^2 v(p) / n_eff.
    a, b = 1 + bounded * z2, 2 * p + z2
    root = math.sqrt(max(0.0, b * b - 4 * a * p * p))
    return max(0.0, (b - root) / (2 * a)), (b + root) / (2 * a)


def mean_interval(sums: Sequence[float], counts: Sequence[int]) -> tuple[float, float] | None:
    """The 95 % interval of a mean, at least 0, over values that come by recordings: ``sums`` of ``counts`` values
    each; None of fewer than two recordings. Values of one recording are alike, so the recordings are what varies:
    Student's t over the ratio estimator m = sum / n (Cochran 1977, "Sampling Techniques", 6.3), with k - 1 degrees of
    freedom and

        var(m) = k / (k - 1) * sum (sum_i - m n_i)^2 / n^2
    """
    k, n = len(sums), sum(counts)
    if k < 2 or not n:
        return None
    mean = math.fsum(sums) / n
    squares = math.fsum((total - mean * count) ** 2 for total, count in zip(sums, counts, strict=True))
    reach = _student_t(k - 1) * math.sqrt(k / (k - 1) * squares) / n
    return max(0.0, mean - reach), mean + reach


def _student_t(freedom: int) -> float:
    from scipy.special import stdtrit  # SciPy takes its time to load, and servers need none of this

    return float(stdtrit(freedom, (1 + LEVEL) / 2))


def chance(one: Sequence[Errors], other: Sequence[Errors]) -> float:
    """How likely two models that are equally good would differ at least so much in their errors on the same
    recordings: `chance_of` what they differ by."""
    return chance_of([a.total - b.total for a, b in zip(one, other, strict=True)])


def chance_of(by_recording: Sequence[float]) -> float:
    """How likely so much in all would come of such differences between two equally good models, one a recording: the
    p-value of the paired permutation test (Fisher 1935), two-sided.

    In each recording it might as well have been the other model that made the errors, so the signs of the
    differences are turned in all ways; in 9,999 ways drawn with a fixed seed where they are more than 2^12.
    """
    differences = np.array([each for each in by_recording if each], np.float64)
    found = abs(differences.sum()) * (1 - 1e-9)  # the sum in another order is the same sum
    if not found:
        return 1.0
    if len(differences) <= EXACT:
        signs = np.array(list(product((1, -1), repeat=len(differences))))
        return float((np.abs(signs @ differences) >= found).mean())
    signs = np.random.default_rng(0).choice((1, -1), (DRAWS, len(differences)))
    return float((1 + (np.abs(signs @ differences) >= found).sum()) / (1 + DRAWS))
