"""Several annotators' labels: what is most likely right, who can be relied on, how far they agree, what everybody would say.

Votes are a table (n, annotators) of label numbers, -1 where somebody did not vote; where nobody knows who voted, counts (n,
L). Dawid and Skene 1979 (a confusion matrix for each annotator, by expectation maximisation); Fleiss 1971; Krippendorff 2004
(nominal). Shares are the mean of a posterior under a mixture of Dirichlet distributions fitted to all rows (empirical Bayes;
Minka 2000): ten votes then say more about a hundred than their own mean does.
"""

from __future__ import annotations

import numpy as np

ROUNDS = 60
PRIOR = 1.0  # votes added to the diagonal and spread over the rest of each confusion matrix
FEW = 1e-3  # least and, inverted, greatest parameter of a Dirichlet distribution
SLIP = 0.05  # share of votes that are mistakes, to begin with
SLIPS = (2.0, 20.0)  # mistakes and votes that everybody is taken to have made before


def counts(votes: np.ndarray, classes: int) -> np.ndarray:
    """Votes for each label, float64 (n, L)."""
    found = np.zeros((len(votes), classes))
    rows, _ = np.nonzero(votes >= 0)
    np.add.at(found, (rows, votes[votes >= 0]), 1.0)
    return found


def majority(counted: np.ndarray) -> np.ndarray:
    """The share of each label among those with most votes, (n, L): ties are shared; without votes all labels are."""
    most = counted == counted.max(axis=1, keepdims=True)
    found: np.ndarray = most / most.sum(axis=1, keepdims=True)
    return found


def weighted(votes: np.ndarray, classes: int) -> np.ndarray:
    """Votes weighted by the log odds of their annotator being right, which the weighted vote itself says, (n, L)."""
    chance = majority(counts(votes, classes))
    cast = votes >= 0
    for _ in range(20):
        agreed = np.take_along_axis(chance, np.maximum(votes, 0), axis=1) * cast
        right = (agreed.sum(axis=0) + PRIOR) / (cast.sum(axis=0) + 2 * PRIOR)
        weight = np.log(np.clip(right * max(classes - 1, 1) / (1 - right), 1e-3, 1e3))
        total = np.zeros_like(chance)
        for annotator, one in enumerate(weight):
            rows = np.flatnonzero(cast[:, annotator])
            total[rows, votes[rows, annotator]] += one
        chance = _softmax(total)
    return chance


def dawid_skene(votes: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The chance of each label (n, L), and what each annotator says instead of each label (annotators, L, L)."""
    chance, annotators = majority(counts(votes, classes)), votes.shape[1]
    cast = [np.flatnonzero(votes[:, one] >= 0) for one in range(annotators)]
    start = PRIOR * (np.eye(classes) + 1.0 / classes)
    confusion = np.empty((annotators, classes, classes))
    for _ in range(ROUNDS):
        share = (chance.sum(axis=0) + 1.0) / (len(votes) + classes)
        logits = np.tile(np.log(share), (len(votes), 1))
        for one, rows in enumerate(cast):
            said = start.copy()
            np.add.at(said.T, votes[rows, one], chance[rows])
            confusion[one] = said / said.sum(axis=1, keepdims=True)
            logits[rows] += np.log(confusion[one][:, votes[rows, one]].T)
        before, chance = chance, _softmax(logits)
        if np.abs(chance - before).max() < 1e-6:
            break
    return chance, confusion


def shares(counted: np.ndarray) -> np.ndarray:
    """What share of everybody would give each label, (n, L), from the votes that were cast, (n, L)."""
    return _posterior(counted, *_mixture(counted))


def doubts(counted: np.ndarray) -> np.ndarray:
    """The chance that a vote for a label was a mistake rather than honest disagreement, (n, L), of people without names.

    A voter either says what a share of everybody would, as far as the others' votes on that row tell, or slips and says
    anything. How often is fitted to all votes.
    """
    meant, rate = _by_others(counted), SLIP
    found = np.zeros_like(meant)
    for _ in range(ROUNDS):
        found = _slipped(meant, rate, counted.shape[1])
        rate = (float((found * counted).sum()) + SLIPS[0] * SLIP) / (float(counted.sum()) + SLIPS[1])
    return found


def slips(votes: np.ndarray, classes: int) -> np.ndarray:
    """The same where annotators are known, each with a rate of slips of its own, (n, annotators), NaN without a vote."""
    cast, rate = votes >= 0, np.full(votes.shape[1], SLIP)
    meant = np.take_along_axis(_by_others(counts(votes, classes)), np.maximum(votes, 0), axis=1)
    found = np.zeros_like(meant)
    for _ in range(ROUNDS):
        found = _slipped(meant, rate, classes)
        rate = (np.where(cast, found, 0.0).sum(axis=0) + SLIPS[0] * SLIP) / (cast.sum(axis=0) + SLIPS[1])
    return np.where(cast, found, np.nan)


def fleiss(counted: np.ndarray) -> float:
    """Fleiss' kappa over rows with at least two votes; their number may differ. NaN without any."""
    counted = counted[counted.sum(axis=1) >= 2]
    if not len(counted):
        return float("nan")
    total = counted.sum(axis=1)
    agreed = float(((counted**2).sum(axis=1) - total).sum() / (total * (total - 1)).sum()) if len(set(total)) > 1 else None
    if agreed is None:
        agreed = float((((counted**2).sum(axis=1) - total) / (total * (total - 1))).mean())
    by_chance = float(((counted.sum(axis=0) / counted.sum()) ** 2).sum())
    return 1.0 if by_chance == 1.0 else (agreed - by_chance) / (1.0 - by_chance)


def krippendorff(counted: np.ndarray) -> float:
    """Krippendorff's alpha for labels without an order. NaN where nobody's votes can be compared."""
    counted = counted[counted.sum(axis=1) >= 2]
    if not len(counted):
        return float("nan")
    total, each = counted.sum(axis=1), counted.sum(axis=0)
    observed = ((total**2 - (counted**2).sum(axis=1)) / (total - 1)).sum()
    expected = (each.sum() ** 2 - (each**2).sum()) / (each.sum() - 1)
    return 1.0 if expected == 0 else float(1.0 - observed / expected)


def _slipped(meant: np.ndarray, rate: float | np.ndarray, classes: int) -> np.ndarray:
    """The chance of a slip, by Bayes' rule, of votes that a share `meant` of the others would give."""
    anything = rate / classes
    return np.asarray(anything / (anything + (1.0 - rate) * meant))


def _by_others(counted: np.ndarray) -> np.ndarray:
    """Of each label, the share that the votes of a row give it when one for it is left out, (n, L)."""
    weight, spread = _mixture(counted)
    found = np.empty_like(counted)
    for label in range(counted.shape[1]):
        others = counted.copy()
        others[:, label] = np.maximum(others[:, label] - 1.0, 0.0)
        found[:, label] = _posterior(others, weight, spread)[:, label]
    return found


def _posterior(counted: np.ndarray, weight: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Mean of the posterior under a mixture, (n, L)."""
    belongs = _softmax(_log_likelihood(counted, spread) + np.log(weight))
    total = counted.sum(axis=1)[:, None] + spread.sum(axis=1)[None]
    found = np.zeros_like(counted)
    for part, now in enumerate(spread):
        found += (belongs[:, part] / total[:, part])[:, None] * (counted + now)
    return found


def _mixture(counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (K,) and parameters (K, L) of the mixture: one part leaning to each label, and one to none."""
    from scipy.special import psi

    classes = counted.shape[1]
    spread = np.vstack([0.5 + 2.0 * np.eye(classes), np.full(classes, 2.0)])
    weight, total = np.full(len(spread), 1.0 / len(spread)), counted.sum(axis=1)
    for _ in range(ROUNDS):
        belongs = _softmax(_log_likelihood(counted, spread) + np.log(weight))
        weight = belongs.mean(axis=0) + 1e-6
        for part, share in enumerate(belongs.T):
            now = spread[part]
            above = share @ (psi(counted + now) - psi(now))
            below = share @ (psi(total + now.sum()) - psi(now.sum()))
            spread[part] = np.clip(now * above / max(float(below), 1e-9), FEW, 1 / FEW)
    return weight / weight.sum(), spread


def _log_likelihood(counted: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Of votes under each part, up to what all parts share, (n, K)."""
    from scipy.special import gammaln

    found = np.empty((len(counted), len(spread)))
    total = counted.sum(axis=1)
    for part, now in enumerate(spread):
        each = (gammaln(counted + now) - gammaln(now)).sum(axis=1)
        found[:, part] = gammaln(now.sum()) - gammaln(total + now.sum()) + each
    return found


def _softmax(logits: np.ndarray) -> np.ndarray:
    chance: np.ndarray = np.exp(logits - logits.max(axis=1, keepdims=True))
    chance /= chance.sum(axis=1, keepdims=True)
    return chance
