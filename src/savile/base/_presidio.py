"""Names, places and further identifiers by Presidio, an optional package (MIT), behind the same policies as our own.

What has a form is found by our own recognisers all the same. Presidio's ones of links and addresses of mail are left out: they
look for a list of domains on the network, and ours find those. A language model of spaCy that is installed finds names; without
one only Presidio's patterns do, which is said. Nothing is downloaded.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from savile.base._recognisers import Span
from savile.base.errors import MissingExtraError
from savile.base.events import emit

OTHER = "identifier"  # what has no name among our kinds
KINDS = {"PERSON": "name", "LOCATION": "address", "ORGANIZATION": "organisation", "NRP": ""}
OURS = (
    "UrlRecognizer",
    "EmailRecognizer",
    "DateRecognizer",
    "PhoneRecognizer",
    "CreditCardRecognizer",
    "IbanRecognizer",
    "IpRecognizer",
)
MODELS = ("en_core_web_trf", "en_core_web_lg", "en_core_web_md", "en_core_web_sm")  # of spaCy, the best first
NAMES = frozenset(KINDS)  # what needs such a model
LEAST = 0.5  # score from which something is replaced


def version() -> str:
    """What finds: the versions of Presidio and of the model of names, for a policy to name.

    Raises:
        MissingExtraError: Presidio is not installed.
    """
    return _engine()[1]


def spans(text: str) -> list[Span]:
    """What Presidio finds in a text, in order and without overlap: the surest first, of equals the longest."""
    found = _engine()[0].analyze(text=text, language="en", score_threshold=LEAST)
    kept: list[Span] = []
    for one in sorted(found, key=lambda one: (-one.score, one.start - one.end, one.start)):
        kind = KINDS.get(one.entity_type, OTHER)
        if kind and all(one.end <= other.start or other.end <= one.start for other in kept):
            kept.append(Span(kind, one.start, one.end))
    return sorted(kept, key=lambda span: span.start)


@cache
def _engine() -> tuple[Any, str]:
    """Presidio's analyser, and what it is made of."""
    try:
        import presidio_analyzer as presidio
        import spacy
        from presidio_analyzer.nlp_engine import SpacyNlpEngine
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in ("presidio_analyzer", "spacy"):
            raise
        raise MissingExtraError("presidio_analyzer", "presidio") from None
    from importlib.metadata import version as of

    model = next((name for name in MODELS if spacy.util.is_package(name)), "")
    engine = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": model or "blank"}])
    engine.nlp = {"en": spacy.load(model) if model else spacy.blank("en")}
    registry = presidio.RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=engine)
    for name in OURS:
        registry.remove_recognizer(name)
    if not model:
        emit("warning", text=f"No model of spaCy is installed ({', '.join(MODELS[1:])}): Presidio finds no names here.")
    analyser = presidio.AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])
    return analyser, f"presidio {of('presidio-analyzer')}, {model or 'patterns alone'}"
