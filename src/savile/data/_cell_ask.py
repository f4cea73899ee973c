"""Which rows a person should correct: those whose cells stand for the most cells nobody has looked at.

The cells of each column are put into clusters by their features, as Raha does (Mahdavi et al. 2019), and rows are taken one by
one for the clusters they cover; a cluster counts by its size and by how doubtful or undecided its cells are.
"""

from __future__ import annotations

import numpy as np

from savile.data._cell_doubt import Features

CLUSTERS = 16
FITTED = 4_000  # rows that clusters are found on


def choose(found: Features, doubt: np.ndarray, asked: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """The next rows to be corrected.

    Args:
        found: features of every cell.
        doubt: how likely each cell is wrong, (n, m).
        asked: rows that were corrected before.
        count: how many more.
        seed: of the clusters.

    Returns:
        row numbers, int64 (at most count,).
    """
    groups = np.stack([_clusters(table, seed) for table in found.tables], axis=1)
    open_ = 4 * doubt * (1 - doubt)
    worth = []
    for place in range(groups.shape[1]):
        size = np.bincount(groups[:, place])
        unsure = np.bincount(groups[:, place], 0.1 + doubt[:, place] + open_[:, place]) / np.maximum(size, 1)
        worth.append(np.sqrt(size) * unsure)
    chosen = list(asked.tolist())
    seen = [np.bincount(groups[asked, place], minlength=len(worth[place])) for place in range(groups.shape[1])]
    free = np.ones(len(groups), dtype=bool)
    free[asked] = False
    for _ in range(min(count, int(free.sum()))):
        gain = np.zeros(len(groups))
        for place in range(groups.shape[1]):
            gain += (worth[place] * 0.3 ** seen[place])[groups[:, place]]
        gain[~free] = -1
        row = int(gain.argmax())
        free[row] = False
        chosen.append(row)
        for place in range(groups.shape[1]):
            seen[place][groups[row, place]] += 1
    return np.array(chosen[len(asked) :], dtype=np.int64)


def _clusters(table: np.ndarray, seed: int) -> np.ndarray:
    """Cluster of each row of features, int64 (n,)."""
    from sklearn.cluster import KMeans

    scaled = (table - table.mean(axis=0)) / (table.std(axis=0) + 1e-6)
    scaled = np.clip(scaled, -5, 5)
    rng = np.random.default_rng(seed)
    some = rng.choice(len(scaled), min(len(scaled), FITTED), replace=False)
    different = np.unique(scaled[some].round(3), axis=0)
    if len(different) <= CLUSTERS:
        return np.unique(scaled.round(3), axis=0, return_inverse=True)[1].ravel().astype(np.int64)
    fitted = KMeans(CLUSTERS, n_init=1, random_state=seed, max_iter=30).fit(scaled[some])
    return np.asarray(fitted.predict(scaled), dtype=np.int64)
