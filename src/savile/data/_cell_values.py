"""What a value looks like by itself and beside the others of its column: profile, shape, letters, numbers, spelling.

Everything is computed once for each different value, never for each row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from savile.data._cell_table import Column

SHAPES = 12  # the most frequent shapes get a feature each
NUMBERS = 3  # numbers in a value that get a feature each
SIMILAR = 0.5  # cosine of letter pairs from which a frequent value may be what a rare one should be
SPELLED = 4_000  # different values up to which spelling is compared
WIDTH = 2_048  # of the hashed letter pairs
LONG = 200


def shapes(values: Sequence[str]) -> list[str]:
    """Values with runs of capitals, letters and digits written as ``A``, ``a`` and ``9``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pa.array(values, pa.string())
    for pattern, letter in ((r"\p{Lu}+", "A"), (r"[\p{Ll}\p{Lo}\p{Lt}]+", "a"), (r"\d+", "9")):
        found = pc.replace_substring_regex(found, pattern, letter)
    shaped: list[str] = found.to_pylist()
    return shaped


def profile(column: Column) -> dict[str, np.ndarray]:
    """Feature -> float (d,), one for each value of the column."""
    values, counts, rows = column.values, column.counts, len(column.codes)
    lengths = np.array([len(value) for value in values], dtype=float)
    shaped = shapes(values)
    inverse = np.unique(shaped, return_inverse=True)[1]
    of_rows = np.bincount(inverse, weights=counts)
    of_values = np.bincount(inverse)
    found = {
        "share": np.log1p(counts) / np.log1p(max(rows, 1)),
        "single": (counts == 1).astype(float),
        "missing": column.missing.astype(float),
        "length": np.log1p(lengths),
        "far_length": _far(np.log1p(lengths), counts),
        "shape_rows": np.log1p(of_rows[inverse] - counts) / np.log1p(max(rows, 1)),
        "shape_values": np.log1p(of_values[inverse] - 1.0),
    }
    found |= _marks(values)
    for place, shape in enumerate(np.argsort(-of_rows)[:SHAPES]):
        found[f"shape_{place}"] = (inverse == shape).astype(float)
    return {**found, **_letters(values, counts), **_numbers(values, counts)}


def _far(numbers: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """How many median deviations from the median, counting rows, at most 20."""
    if not len(numbers):
        return numbers
    order = np.argsort(numbers)
    middle = numbers[order][np.searchsorted(np.cumsum(counts[order]), counts.sum() / 2)]
    away = np.abs(numbers - middle)
    order = np.argsort(away)
    spread = away[order][np.searchsorted(np.cumsum(counts[order]), counts.sum() / 2)]
    return np.asarray(np.minimum(away / max(float(spread), 1e-3 + 0.01 * abs(float(middle))), 20.0))


def _marks(values: Sequence[str]) -> dict[str, np.ndarray]:
    """Kinds of characters and spaces where none belong."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found: dict[str, np.ndarray] = {}
    cells = pa.array(values, pa.string())
    patterns = {
        "foreign": r"[^\x00-\x7F]",
        "letters": r"\p{L}",
        "capitals": r"\p{Lu}",
        "digits": r"\d",
        "signs": r"[^\p{L}\d\s]",
        "spaces": r"\s",
        "odd_space": r"^\s|\s$|\s\s",
        "twice": r"([^\p{L}\d\s])[^\p{L}\d\s]",
        "zero": r"\.0+$|^0\d",
    }
    for name, pattern in patterns.items():
        found[name] = np.minimum(pc.count_substring_regex(cells, pattern).to_numpy(zero_copy_only=False).astype(float), 20.0)
    return found


def _letters(values: Sequence[str], counts: np.ndarray) -> dict[str, np.ndarray]:
    """How rare the rarest letters and letter pairs of each value are among the other values of the column."""
    cut = ["\x02" + value[:LONG] + "\x03" for value in values]
    points = np.frombuffer("".join(cut).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.int64)
    points = np.where((points >= 48) & (points <= 57), 57, points)  # digits are alike
    owner = np.repeat(np.arange(len(values)), [len(one) for one in cut])
    found: dict[str, np.ndarray] = {}
    for name, codes, owners in (
        ("letter", points, owner),
        ("pair", (points[:-1] << 21) | points[1:], owner[:-1]),
        ("triple", points[:-2] * 1_000_003 * 1_009 ^ points[1:-1] * 1_000_003 ^ points[2:], owner[:-2]),
    ):
        size = {"letter": 1, "pair": 2, "triple": 3}[name]
        inside = np.ones(len(codes), dtype=bool) if size == 1 else owner[: len(codes)] == owner[size - 1 :]
        kept, mine = codes[inside], owners[inside]
        if not len(kept):
            found |= {f"rare_{name}": np.zeros(len(values)), f"mean_{name}": np.zeros(len(values))}
            continue
        number = np.unique(kept, return_inverse=True)[1].astype(np.int64)
        pairs = np.unique(mine * (number.max() + 1) + number)
        others = np.bincount(pairs % (number.max() + 1))[number] - 1.0  # other values with it
        rarity = np.log1p(others) / np.log1p(max(len(values) - 1, 1))
        starts = np.searchsorted(mine, np.arange(len(values)))
        some = np.bincount(mine, minlength=len(values)) > 0
        least = np.full(len(values), 1.0)
        least[some] = np.minimum.reduceat(rarity, starts[some])
        found[f"rare_{name}"] = least
        found[f"mean_{name}"] = np.bincount(mine, rarity, len(values)) / np.maximum(np.bincount(mine, minlength=len(values)), 1)
        found[f"new_{name}"] = np.bincount(mine, others == 0, len(values)) / np.maximum(
            np.bincount(mine, minlength=len(values)), 1
        )
    return found


def _numbers(values: Sequence[str], counts: np.ndarray) -> dict[str, np.ndarray]:
    """The first numbers in each value, whether it is a number itself, and how far that is from the others."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cells, found = pa.array(values, pa.string()), {}
    rest = cells
    for place in range(NUMBERS):
        taken = pc.extract_regex(rest, r"^[^0-9]*(?P<n>\d{1,15})(?P<r>(?s:.*))$")
        first, after = pc.struct_field(taken, "n"), pc.struct_field(taken, "r")
        found[f"number_{place}"] = pc.fill_null(pc.cast(first, pa.float64()), -1.0).to_numpy(zero_copy_only=False)
        found[f"number_{place}"] = np.sign(found[f"number_{place}"]) * np.log1p(np.abs(found[f"number_{place}"]))
        rest = pc.fill_null(after, "")
    plain = pc.match_substring_regex(cells, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$")
    is_number = plain.to_numpy(zero_copy_only=False)
    number = pc.cast(pc.if_else(plain, cells, None), pa.float64()).to_numpy(zero_copy_only=False)
    found["number"] = is_number.astype(float)
    found["far_number"] = np.zeros(len(values))
    if is_number.any():
        found["far_number"][is_number] = _far(number[is_number], counts[is_number])
    return found


def spelling(column: Column) -> tuple[np.ndarray, np.ndarray]:
    """For each value the more frequent one it resembles most.

    Returns:
        its code or -1, int64 (d,); and how much it resembles that, 0 to 1, times how much more frequent it is.
    """
    from scipy.sparse import csr_array

    counts, size = column.counts, len(column.values)
    nearest, score = np.full(size, -1), np.zeros(size)
    usual = np.flatnonzero((counts >= 2) & ~column.missing)
    if size < 3 or size > SPELLED or not len(usual):
        return nearest, score
    cut = ["\x02" + value[:LONG].casefold() + "\x03" for value in column.values]
    points = np.frombuffer("".join(cut).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.int64)
    owner = np.repeat(np.arange(size), [len(one) for one in cut])
    single = (points * 7 + 1) % WIDTH
    pair = ((points[:-1] * 1_000_003 + points[1:]) * 31 + 5) % WIDTH + WIDTH
    inside = owner[:-1] == owner[1:]
    at = np.concatenate([single, pair[inside]])
    rows = np.concatenate([owner, owner[:-1][inside]])
    sets = csr_array((np.ones(len(at)), (rows, at)), shape=(size, 2 * WIDTH))
    norm = np.sqrt(np.asarray(sets.multiply(sets).sum(axis=1)).ravel())
    for start in range(0, size, 512):
        some = np.arange(start, min(start + 512, size))
        alike = (sets[some] @ sets[usual].T).toarray() / (norm[some][:, None] * norm[usual])
        alike[counts[usual][None, :] < 2 * counts[some][:, None]] = 0
        alike[some[:, None] == usual[None, :]] = 0
        weighed = alike * (0.5 + 0.5 * np.minimum(np.log1p(counts[usual])[None, :] / np.log(20), 1.0))
        best = weighed.argmax(axis=1)
        near = alike[np.arange(len(some)), best]
        good = near >= SIMILAR
        nearest[some[good]] = usual[best[good]]
        score[some[good]] = weighed[np.arange(len(some)), best][good]
    return nearest, score


def foreign(columns: Sequence[Column]) -> Mapping[int, np.ndarray]:
    """Column -> of each value: share of its words that are whole values of another column with few values, float (d,)."""
    domains = [
        {value.casefold() for value, count in zip(c.values, c.counts, strict=True) if value and count > 1}
        if len(c.values) <= 300
        else set()
        for c in columns
    ]
    found = {}
    for place, column in enumerate(columns):
        others = set().union(*(domain for number, domain in enumerate(domains) if number != place)) - domains[place]
        lasts = [value.casefold().rpartition(" ")[2] if " " in value else "" for value in column.values]
        found[place] = np.array([last in others and bool(last) for last in lasts], dtype=float)
    return found
