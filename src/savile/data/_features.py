"""Rows as vectors of unit length, for steps that compare rows: TF-IDF of characters brought to 128 dimensions, or a base model.

Without a base neither torch nor a download is needed. Latent semantic analysis: Deerwester et al. 1990, by randomised singular
value decomposition (Halko, Martinsson, Tropp 2011).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from savile.base import catalogue
from savile.base.events import emit

DIMENSIONS = 128
TERMS = 30_000  # the most frequent n-grams


def of_texts(texts: Sequence[str], base: str | None = None) -> np.ndarray:
    """Texts -> unit vectors, float32 (n, d).

    Args:
        texts: at least one.
        base: a base model by name or folder, such as ``minilm`` or ``use-m``; None for TF-IDF.

    Raises:
        MissingBaseError: the base is not on this machine.
    """
    return _unit(_embedded(texts, base) if base else _latent(texts))


def of_numbers(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Number columns (n,) each, NaN where empty -> standardised, of mean square length 1, float32 (n, columns)."""
    table = np.stack(columns, axis=1).astype(np.float64)
    centre = np.nan_to_num(np.nanmedian(table, axis=0))
    table = np.where(np.isnan(table), centre, table)
    spread = table.std(axis=0)
    table = (table - table.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.asarray(table / np.sqrt(table.shape[1]), dtype=np.float32)


def compact(features: np.ndarray, dimensions: int = DIMENSIONS) -> np.ndarray:
    """The same rows in fewer dimensions, for learners whose cost grows with the cube of them (singular value decomposition)."""
    if features.shape[1] <= dimensions:
        return features
    _, axes = np.linalg.eigh(features.T.astype(np.float64) @ features)
    return np.asarray(features @ axes[:, -dimensions:], dtype=np.float32)


def _latent(texts: Sequence[str]) -> np.ndarray:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    sample = "".join(texts[:1000])
    wide = sum("\u3040" <= letter <= "\u9fff" or "\uac00" <= letter <= "\ud7a3" for letter in sample)
    spaced = wide <= 0.2 * max(1, len(sample))
    grams = {"analyzer": "char_wb", "ngram_range": (2, 4)} if spaced else {"analyzer": "char", "ngram_range": (1, 2)}
    padded = [text or " " for text in texts]
    terms = TfidfVectorizer(**grams, max_features=TERMS, sublinear_tf=True, dtype=np.float32).fit_transform(padded)
    width = min(DIMENSIONS, terms.shape[1] - 1, terms.shape[0] - 1)
    if width < 1:
        return np.asarray(terms.todense(), dtype=np.float32)
    return np.asarray(TruncatedSVD(width, n_iter=3, random_state=0).fit_transform(terms), dtype=np.float32)


def _embedded(texts: Sequence[str], base: str) -> np.ndarray:
    from savile.models import FitSettings
    from savile.models._bases import locate
    from savile.models._rows import TokenRows, embed
    from savile.models._source import best_device, precision

    emit("progress", stage=f"read texts with {base}", done=0, total=1)
    device = best_device()
    network = catalogue.get("families", locate(base).kind).create(base, ("no", "yes")).to(device)
    tokens = TokenRows(network.encode(texts), network.pad_id)
    pooled, _ = embed(network, tokens, 0, precision(FitSettings(), device))
    return np.asarray(pooled.cpu().numpy(), dtype=np.float32)


def _unit(features: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(length > 0, length, 1.0), dtype=np.float32)
