"""What a raw distance means: a threshold from normal photos alone, what they support, and whether new ones still agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Calibration:
    """Turns a raw distance into a score in 0..1 with 0.5 at the threshold."""

    threshold: float
    scale: float
    """Raw distance over which the odds change by a factor of e; > 0."""
    basis: str
    """What the threshold was derived from, in words."""

    def unit(self, raw: NDArray[np.floating] | float) -> NDArray[np.float64]:
        """Score in 0..1, rising with the raw distance."""
        z = np.clip((np.asarray(raw, np.float64) - self.threshold) / self.scale, -30, 30)
        return np.asarray(1 / (1 + np.exp(-z)))

    @classmethod
    def from_normals(cls, normals: Array, false_alarm_rate: float, scored: str, given: int = 0) -> Calibration:
        """Threshold by `conformal_threshold`; the median normal photo gets a score of 0.1.

        Args:
            normals: (n,) raw scores, each from a detector that had not seen that photo.
            false_alarm_rate: in (0, 1).
            scored: how, in words, for the basis.
            given: photos they were sampled from, where there were more.
        """
        threshold, rate = conformal_threshold(normals, false_alarm_rate)
        # With almost equal normals a floor keeps the scale finite.
        scale = max((threshold - float(np.median(normals))) / np.log(9), 0.01 * max(abs(threshold), 1e-3))
        of = f" of {given}" if given > len(normals) else ""
        basis = f"{len(normals)}{of} normal photos, each scored {scored}; false-alarm rate at most {rate:.3g}"
        return cls(threshold, float(scale), basis)


def conformal_threshold(normals: Array, false_alarm_rate: float) -> tuple[float, float]:
    """Threshold from scores of normal photos, and the false-alarm rate it can promise.

    Split-conformal rank: with n scores, the k-th smallest, k = ceil((n + 1)(1 − rate)), is exceeded by a new normal
    photo with probability at most `rate`. Where that rank lies beyond n, the photos support no better than 1/(n + 1),
    and the largest score is returned with that rate (Vovk et al., Algorithmic Learning in a Random World, 2005).

    Args:
        normals: (n,) raw scores, each from a detector that had not seen that photo.
        false_alarm_rate: in (0, 1).
    """
    ordered = np.sort(normals)
    n = len(ordered)
    # The small part taken off absorbs rounding: 20 · (1 − 0.45) comes out a little above 11.
    k = int(np.ceil((n + 1) * (1 - false_alarm_rate) - 1e-9))
    return (float(ordered[k - 1]), false_alarm_rate) if k <= n else (float(ordered[-1]), supported_rate(n))


def supported_rate(photos: int) -> float:
    """The lowest false-alarm rate that so many normal photos can promise: 1/(n + 1)."""
    return 1 / (photos + 1)


def photos_needed(false_alarm_rate: float) -> int:
    """Normal photos needed to promise a false-alarm rate in (0, 1): the smallest n with 1/(n + 1) ≤ rate."""
    return max(1, int(np.ceil(1 / false_alarm_rate - 1e-9)) - 1)


def support_in_words(photos: int, false_alarm_rate: float) -> str:
    """One sentence: what rate so many photos support, and how many more the rate asked for needs."""
    missing = photos_needed(false_alarm_rate) - photos
    if missing <= 0:
        return f"{photos} photos support a false-alarm rate of {false_alarm_rate:.3g}."
    return (
        f"{photos} photos support no better than {supported_rate(photos):.2%}; "
        f"{false_alarm_rate:.2%} needs {missing} more."
    )


@dataclass(frozen=True)
class Drift:
    """Whether new normal photos still look like those a detector was fitted to."""

    photos: int
    """New normal photos scored."""
    p: float
    """Probability, 0..1, of scores at least so high if nothing had changed: one-sided rank-sum test."""
    above: float
    """Share of the new photos above the threshold, 0..1."""
    expected: float
    """Share that the detector promised at most."""
    drifted: bool
    words: str
    """For the reader."""


def drift_of(kept: Array, new: Array, threshold: float, rate: float, level: float = 0.01) -> Drift:
    """Compare the raw scores of new normal photos, (m,), with those kept from the fit, (n,).

    Two tests at half the level each, both for a rise alone: the rank sums of the two samples (Mann and Whitney, 1947),
    and the number above the threshold under a binomial law. Scores that fall raise no alarm.
    """
    from scipy.stats import binomtest, mannwhitneyu

    p = float(mannwhitneyu(new, kept, alternative="greater").pvalue)
    alarms = int(np.sum(new > threshold))
    too_many = float(binomtest(alarms, len(new), rate, alternative="greater").pvalue)
    drifted = min(p, too_many) < level / 2
    says = (
        "they no longer look like the photos of the fit; look for a change of light, lens or product, then fit again"
        if drifted
        else "no sign of a change"
    )
    words = (
        f"{len(new)} new normal photos: {says} (rank-sum p = {p:.2g}). "
        f"{alarms} of them lie above the threshold ({alarms / len(new):.1%}; at most {rate:.1%} were promised)."
    )
    return Drift(len(new), p, alarms / len(new), rate, drifted, words)
