"""A small model with all its forms, made once."""

import pytest

import small_line


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """Data, the trained model, and the same with every form; the records' files stay in a store of the session's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAVILE_HOME", str(tmp_path_factory.mktemp("line") / "home"))
        yield small_line.line(tmp_path_factory.mktemp("base"))
