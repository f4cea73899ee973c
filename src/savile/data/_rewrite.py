"""Other ways to say a text: slips of the keyboard, synonyms, paraphrase and translation there and back.

Slips: Belinkov and Bisk, ICLR 2018. Synonyms are words met in the same contexts: positive pointwise mutual information with the
words around, brought to few dimensions (Levy and Goldberg, NIPS 2014); two words replace each other when each is among the
other's nearest. Back-translation: Sennrich, Haddow and Birch, ACL 2016. Pseudonyms of personal data are never touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from savile.base.mask import PSEUDONYM

Rewrite = Callable[[Sequence[str], np.random.Generator], list[str]]  # texts -> each in other words

SLIPS = 0.06  # share of the letters
AROUND = 3  # words on either side that are a context
SEEN = 5  # times a word must be met
KNOWN = 3_000  # most frequent words looked at
LIKE = 0.55  # cosine from which two words are synonyms
NEAREST = 3
DIMENSIONS = 100
SWAPPED = 0.4  # share of the words with synonyms that are replaced
WORD = re.compile(r"\[[A-Z_]+-[0-9a-f]{6}\]|[^\W\d_]+")
ROWS = {"q": "wa", "w": "qe", "e": "wr", "r": "et", "t": "ry", "y": "tu", "u": "yi", "i": "uo", "o": "ip", "p": "o"}
ROWS |= {"a": "sq", "s": "ad", "d": "sf", "f": "dg", "g": "fh", "h": "gj", "j": "hk", "k": "jl", "l": "k"}
ROWS |= {"z": "x", "x": "zc", "c": "xv", "v": "cb", "b": "vn", "n": "bm", "m": "n"}
PARAPHRASE = "Say the following in other words. Keep its meaning and its language. Answer with the new text alone.\n\n{text}"
THERE = "Translate the following into {language}. Answer with the translation alone.\n\n{text}"
BACK = "Translate the following {language} text into {own}. Answer with the translation alone.\n\n{text}"


def slips(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Each text with some letters left out, doubled, swapped with the next, or hit beside."""
    return [_around_pseudonyms(text, lambda part: _slipped(part, rng)) for text in texts]


def swapping(synonyms: Mapping[str, Sequence[str]]) -> Rewrite:
    """Each text with some of its words replaced by synonyms.

    Args:
        synonyms: word in small letters -> words that may stand for it.
    """

    def rewrite(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
        def other(match: re.Match[str]) -> str:
            word = match[0]
            choices = synonyms.get(word.lower())
            if not choices or rng.random() > SWAPPED:
                return word
            chosen = choices[int(rng.integers(len(choices)))]
            return chosen.capitalize() if word[0].isupper() else chosen

        return [WORD.sub(other, text) for text in texts]

    return rewrite


def asking(say: Callable[[Sequence[str]], Sequence[str]], through: str = "", own: str = "English") -> Rewrite:
    """Each text as a language model paraphrases it, or translates it there and back.

    Args:
        say: prompts -> answers.
        through: language between; empty to paraphrase.
        own: language of the texts.
    """

    def rewrite(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
        if not through:
            return list(say([PARAPHRASE.format(text=text) for text in texts]))
        there = say([THERE.format(text=text, language=through) for text in texts])
        return list(say([BACK.format(text=text, language=through, own=own) for text in there]))

    return rewrite


def learned(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Synonyms by what words stand around them: word -> the nearest first; empty where there is too little text."""
    from scipy.sparse import coo_matrix
    from sklearn.decomposition import TruncatedSVD

    cut = [[word.lower() for word in WORD.findall(text) if word[0] != "["] for text in texts]
    names, counts = np.unique([word for words in cut for word in words], return_counts=True)
    kept = names[counts >= SEEN][np.argsort(-counts[counts >= SEEN], kind="stable")][:KNOWN]
    number = {word: i for i, word in enumerate(kept.tolist())}
    pairs = [
        (number[word], number[near])
        for words in cut
        for place, word in enumerate(words)
        for near in words[max(0, place - AROUND) : place] + words[place + 1 : place + 1 + AROUND]
        if word in number and near in number
    ]
    if len(number) < 2 * DIMENSIONS // 5 or not pairs:
        return {}
    word, near = np.array(pairs).T
    met = coo_matrix((np.ones(len(word)), (word, near)), shape=(len(number), len(number))).tocsr()
    total, each = met.sum(), np.asarray(met.sum(axis=1)).ravel()
    met = met.tocoo()
    shared = np.log(met.data * total / (each[met.row] * each[met.col]))
    positive = coo_matrix((np.maximum(shared, 0.0), (met.row, met.col)), shape=met.shape).tocsr()
    width = min(DIMENSIONS, len(number) - 1)
    rows = TruncatedSVD(width, n_iter=3, random_state=0).fit_transform(positive)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    like = rows @ rows.T
    np.fill_diagonal(like, -1.0)
    nearest = np.argsort(-like, axis=1)[:, :NEAREST]
    return {
        str(kept[i]): tuple(str(kept[j]) for j in nearest[i] if like[i, j] >= LIKE and i in nearest[j])
        for i in range(len(kept))
        if any(like[i, j] >= LIKE and i in nearest[j] for j in nearest[i])
    }


def _around_pseudonyms(text: str, change: Callable[[str], str]) -> str:
    parts, end = [], 0
    for match in PSEUDONYM.finditer(text):
        parts += [change(text[end : match.start()]), match[0]]
        end = match.end()
    return "".join([*parts, change(text[end:])])


def _slipped(text: str, rng: np.random.Generator) -> str:
    """A text with slips in letters; digits and signs stay."""
    found, place = list[str](), 0
    while place < len(text):
        letter = text[place]
        following = text[place + 1 : place + 2]
        if not letter.isalpha() or rng.random() > SLIPS:
            found.append(letter)
        else:
            kind = rng.integers(4)
            if kind == 0 and following.isalpha():
                found += [following, letter]
                place += 1
            elif kind == 1 and letter.lower() in ROWS:
                beside = ROWS[letter.lower()]
                found.append(beside[int(rng.integers(len(beside)))])
            elif kind == 2:
                found += [letter, letter]
        place += 1
    return "".join(found)
