"""Whether two texts go together: a question asked before, two names of one company, an answer that fits.

The two texts of a row are one where a model reads it, with `savile.base.answers.PAIR` between them; bases read each by itself
and compare what they make of them. What a row has, its head and its measure are those of `classify`.
"""

from __future__ import annotations

from savile.tasks._texts import fields, render
from savile.tasks.classify import head, score

PAIRS = True  # two texts a row
__all__ = ["PAIRS", "fields", "head", "render", "score"]
