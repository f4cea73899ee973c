"""Rights to data as rules: who owns it, under which licence and consent, what for, where, until when, and what a contract adds.

A use is a stage (govern, adapt, evaluate, release, serve) with a purpose, a region and a day. `breaches` holds it against the
rules and says every one it breaks; what nobody wrote down is not forbidden, but `gaps` names it. Licence facts are those of the
licences' own texts: whether money may be made, whether what is derived must be shared alike, whether deriving is allowed at
all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import ConfigDict

from savile.base.recipe import SECTION, fill

Stage = Literal["govern", "adapt", "evaluate", "release", "serve"]
STAGES: tuple[Stage, ...] = ("govern", "adapt", "evaluate", "release", "serve")


class Licence(NamedTuple):
    """What a licence allows: making money, deriving, and deriving without sharing alike."""

    commercial: bool = True
    derive: bool = True
    alike: bool = False


# SPDX identifiers, lower case, without their version
LICENCES: dict[str, Licence] = {
    **dict.fromkeys(
        ("cc0", "cc-by", "mit", "apache", "bsd", "odc-by", "pddl", "cdla-permissive", "ogl-uk", "proprietary"), Licence()
    ),
    **dict.fromkeys(("cc-by-sa", "odbl", "cdla-sharing", "gpl", "agpl"), Licence(alike=True)),
    "cc-by-nc": Licence(commercial=False),
    "cc-by-nc-sa": Licence(commercial=False, alike=True),
    "cc-by-nd": Licence(derive=False),
    "cc-by-nc-nd": Licence(commercial=False, derive=False),
}
QUALIFIERS = ("only", "or", "later", "universal", "clause")


@dataclass(frozen=True)
class Term:
    """One clause of a contract.

    Attributes:
        forbid: stage that is forbidden; with `after` only from the day behind it, with `most` only beyond so many uses.
        after: last day on which it is allowed.
        most: number of uses allowed.
        note: where the clause stands, for messages.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    forbid: Stage
    after: date | None = None
    most: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Source:
    """Rows of one origin and the rights to them.

    Attributes:
        name: what people call it.
        column: column that tells its rows from others; the whole file without one.
        value: its value for these rows.
        owner: whose it is.
        licence: SPDX identifier, or ``proprietary`` under a contract.
        consent: basis for personal data, such as ``consent``, ``contract`` or ``legitimate interest``.
        purposes: what it may be used for; anything when empty.
        forbidden: purposes it may not be used for.
        regions: where it may be used; anywhere when empty.
        expires: last day of use.
        terms: further clauses.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    name: str
    column: str | None = None
    value: str | None = None
    owner: str = ""
    licence: str = ""
    consent: str = ""
    purposes: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    expires: date | None = None
    terms: tuple[Term, ...] = ()


@dataclass(frozen=True)
class Rights:
    """Sources, and the use that is meant.

    Attributes:
        sources: where the rows come from.
        purpose: what the data is used for.
        region: where.
        commercial: whether money is made with it.
        distribute: whether the data or a model of it leaves the house.
        on_breach: ``refuse``, or ``leave_out`` the rows of a source that may not be used, where a column tells them apart.
        labelling: how labels were given, for the passport.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    sources: tuple[Source, ...] = ()
    purpose: str = ""
    region: str = ""
    commercial: bool = True
    distribute: bool = False
    on_breach: Literal["refuse", "leave_out"] = "refuse"
    labelling: str = ""


@dataclass(frozen=True)
class Breach:
    """A rule that a use would break: of which source, which rule, and why in words."""

    source: str
    rule: str
    why: str


def of(raw: Mapping[str, Any]) -> Rights:
    """Rights from plain values, as stored with data.

    Raises:
        RecipeError: a key or value is wrong.
    """
    return fill(Rights, raw, "the rights")


def breaches(rights: Rights, stage: Stage, today: date, uses: Mapping[str, int] | None = None) -> list[Breach]:
    """Every rule the use would break.

    Args:
        rights: the sources and the use.
        stage: what is about to be done.
        today: the day it is done.
        uses: source -> how often that stage was done before.
    """
    return [
        Breach(source.name, rule, why)
        for source in rights.sources
        for rule, why in _broken(source, rights, stage, today, (uses or {}).get(source.name, 0))
    ]


def gaps(rights: Rights) -> list[Breach]:
    """What nobody wrote down, or no rule knows: licences without facts, sources without owner or basis."""
    found = []
    for source in rights.sources:
        if not source.licence:
            found.append(Breach(source.name, "no_licence", "no licence is named"))
        elif licence(source.licence) is None:
            found.append(Breach(source.name, "unknown_licence", f"nothing is known of the licence {source.licence!r}"))
        found += [
            Breach(source.name, f"no_{name}", f"no {what} is named")
            for name, what in (("owner", "owner"), ("consent", "basis for personal data"))
            if not getattr(source, name)
        ]
    return found


def licence(name: str) -> Licence | None:
    """The facts of a licence by its SPDX identifier, with or without version; None when there are none."""
    words = name.casefold().replace("_", "-").replace(" ", "-").split("-")
    while words and (words[-1].replace(".", "").isdigit() or words[-1] in QUALIFIERS):
        words.pop()
    return LICENCES.get("-".join(words))


def _broken(source: Source, rights: Rights, stage: Stage, today: date, used: int) -> Iterator[tuple[str, str]]:
    purpose, region = rights.purpose, rights.region
    if source.expires is not None and today > source.expires:
        yield "expired", f"its use ended on {source.expires}"
    if purpose and purpose in source.forbidden:
        yield "forbidden_purpose", f"it may not be used for {purpose!r}"
    if source.purposes and purpose not in source.purposes:
        allowed = ", ".join(source.purposes)
        yield (
            "other_purpose",
            f"it may be used for {allowed}, not for {purpose!r}" if purpose else f"it is for {allowed}; no purpose was named",
        )
    if source.regions and region not in source.regions:
        allowed = ", ".join(source.regions)
        yield (
            "other_region",
            f"it may be used in {allowed}, not in {region!r}" if region else f"it is for {allowed}; no region was named",
        )
    yield from _by_licence(source, rights)
    for term in source.terms:
        over = term.after is not None and today > term.after
        many = term.most is not None and used >= term.most
        if term.forbid == stage and (over or many or (term.after is None and term.most is None)):
            until = f" after {term.after}" if over else f" more than {term.most} times" if many else ""
            yield "contract", f"its contract forbids to {stage}{until}{f' ({term.note})' if term.note else ''}"


def _by_licence(source: Source, rights: Rights) -> Iterator[tuple[str, str]]:
    facts = licence(source.licence) if source.licence else None
    if facts is None:
        return
    if not facts.commercial and rights.commercial:
        yield "non_commercial", f"its licence {source.licence} forbids commercial use"
    if not facts.derive:
        yield "no_derivatives", f"its licence {source.licence} forbids works derived from it"
    if facts.alike and rights.distribute:
        yield "share_alike", f"its licence {source.licence} asks that what is derived and passed on is shared alike"
