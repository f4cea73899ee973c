"""What `import savile` offers: at most 30 words, each of them there, none besides, and loaded when first used."""

import inspect
import json
import subprocess
import sys

import pytest

import savile

WORDS = [
    *("demo", "init", "doctor", "govern", "plan", "adapt", "compress", "evaluate", "serve"),
    *("review", "improve", "combine", "run", "schedule", "track", "names", "show"),
]
RECORDS = ["Dataset", "Model", "Report", "Release", "Trace", "Store"]


def test_the_public_names_are_the_words_and_the_records():
    assert savile.__all__ == WORDS + RECORDS
    assert len(savile.__all__) <= 30
    assert dir(savile) == sorted(savile.__all__)


def test_nothing_else_is_visible_in_a_fresh_interpreter():
    code = "import json, savile; print(json.dumps([name for name in vars(savile) if not name.startswith('_')]))"
    visible = set(json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout))
    assert visible == {"annotations", "TYPE_CHECKING", "Any"}  # what the language itself leaves there


@pytest.mark.parametrize("name", savile.__all__)
def test_every_name_is_there_and_documented(name):
    found = getattr(savile, name)
    assert found.__name__ == name
    assert inspect.getdoc(found)
    assert getattr(savile, name) is found


@pytest.mark.parametrize("word", WORDS)
def test_a_word_has_at_most_six_arguments_all_typed(word):
    parameters = inspect.signature(getattr(savile, word)).parameters.values()
    assert len(parameters) <= 6
    assert all(parameter.annotation is not inspect.Parameter.empty for parameter in parameters)


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'governn'"):
        getattr(savile, "governn")  # noqa: B009
    assert not hasattr(savile, "train")
