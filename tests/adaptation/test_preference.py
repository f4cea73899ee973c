"""Free answers, learned from examples and from preferences, on a language model made on the spot."""

import numpy as np
import pytest
import torch

from savile import testing
from savile.adaptation import _preference
from savile.adaptation._preference import (
    Judged,
    Preference,
    PreferenceSettings,
    controlled,
    judged_loss,
    learn_answers,
    pair_loss,
    prefer,
)
from savile.base.errors import InputError, UnknownNameError
from savile.models._writer import Writer

PROMPTS = [f"{about} {i}" for i in range(8) for about in ("card", "parcel", "refund")]
POLITE, RUDE = "thank you we help", "no"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return str(testing.tiny_decoder(tmp_path_factory.mktemp("decoder"), [*PROMPTS, POLITE, RUDE]))


def learner(base):
    """A base with random weights learns nothing much unless all of it does."""
    return Writer(base, "full", {"freeze": 0, "freeze_embeddings": False})


def test_log_probabilities_are_those_of_the_plain_model(base):
    writer = Writer(base)
    written = writer.rows(PROMPTS[:3], [POLITE, RUDE, "thank"])
    network = writer.network
    found = writer.total(written)
    for row, prompt in enumerate(PROMPTS[:3]):
        start = [*network.prompt.before, *network.encode([prompt])[0]]
        answer = written.answers.flat[written.answers.starts[row] :][: written.answers.lengths[row]].tolist()
        with torch.inference_mode():
            scores = network.trunk(torch.tensor([[*start, *answer]])).logits[0, len(start) - 1 : -1].log_softmax(-1)
        assert found[row] == pytest.approx(float(scores.gather(1, torch.tensor(answer)[:, None]).sum()), abs=1e-3)
        assert answer[-1] == network.prompt.end


def test_answers_are_learned_and_given(base, tmp_path):
    writer = learner(base)
    fitted = learn_answers(writer, [(prompt, POLITE) for prompt in PROMPTS], {"epochs": 20.0, "learning_rate": 1e-2})
    assert fitted.history[-1]["loss"] < 0.3 * fitted.history[0]["loss"]
    assert writer.reply(["card 3", "refund 2"], 12) == [POLITE, POLITE]
    adapter = Writer(base)
    adapter.save(tmp_path)
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_writer_that_was_saved_answers_as_before(base, tmp_path, method):
    writer = Writer(base, method, {"freeze": 0}, instruction="Be brief.")
    learn_answers(writer, [(prompt, POLITE) for prompt in PROMPTS], {"steps": 8, "learning_rate": 1e-2})
    written = writer.rows(PROMPTS[:4], [POLITE] * 4)
    before = writer.total(written)
    writer.save(tmp_path / "adapter")
    again = Writer.load(tmp_path / "adapter")
    assert again.instruction == "Be brief."
    assert again.network.prompt.before == writer.network.prompt.before
    assert np.allclose(again.total(written), before, atol=1e-4)
    assert not np.allclose(Writer(base, instruction="Be brief.").total(written), before, atol=1e-2)
    writer.merge()
    writer.save(tmp_path / "whole")
    merged = Writer(str(tmp_path / "whole"), instruction="Be brief.")  # a base like any other
    assert np.allclose(merged.total(written), before, atol=1e-3)


def test_what_cannot_be_folded_in_is_not_saved_as_if_it_were(base, tmp_path):
    writer = Writer(base, "bottleneck")
    writer.merge()
    with pytest.raises(InputError, match="bottleneck"):
        writer.save(tmp_path)


def test_with_the_whole_weight_on_the_first_goal_it_is_dpo(base):
    rng = torch.Generator().manual_seed(0)
    chosen, rejected = (torch.randn(16, generator=rng, dtype=torch.float64) for _ in range(2))
    margins = torch.randn(16, 2, generator=rng, dtype=torch.float64)
    dpo = -torch.nn.functional.logsigmoid(0.3 * (chosen - rejected)).mean()
    assert torch.equal(pair_loss(chosen, rejected, 0.3, (1.0,), margins), dpo)
    assert torch.equal(pair_loss(chosen, rejected, 0.3, (1.0, 0.0, 0.0), margins), dpo)
    assert not torch.isclose(pair_loss(chosen, rejected, 0.3, (0.5, 0.5, 0.0), margins), dpo)
    rows = [Preference(prompt, POLITE, RUDE, (0.5,)) for prompt in PROMPTS]
    losses = []
    for weights in ((1.0,), (1.0, 0.0)):
        fit = {"steps": 4, "learning_rate": 1e-3, "batch_rows": 8}
        fitted = prefer(Writer(base), rows, PreferenceSettings(weights=weights, fit=fit))
        losses.append([entry["loss"] for entry in fitted.history])
    assert losses[0] == losses[1]


def test_losses_agree_with_trl_where_it_has_them():
    moved, drift = torch.tensor([0.4, -0.2, 0.1]), torch.tensor(0.05)
    good = torch.tensor([True, False, True])
    # KTOTrainer.kto_loss: 1 - sigmoid(beta r - KL) of good answers and 1 - sigmoid(KL - beta r) of bad ones
    expected = torch.cat([1 - torch.sigmoid(moved[good] - drift), 1 - torch.sigmoid(drift - moved[~good])]).mean()
    assert judged_loss(moved, drift, good, (1.0, 1.0)) == pytest.approx(float(expected))


@pytest.mark.parametrize("kind", ["pairs", "judgements"])
def test_preferred_answers_become_likelier(base, kind):
    writer = learner(base)
    polite, rude = (writer.rows(PROMPTS, [answer] * len(PROMPTS)) for answer in (POLITE, RUDE))
    before = writer.total(polite) - writer.total(rude)
    rows = [Preference(prompt, POLITE, RUDE) for prompt in PROMPTS]
    if kind == "judgements":
        rows = [Judged(prompt, POLITE if i % 2 else RUDE, bool(i % 2)) for i, prompt in enumerate(PROMPTS)]
    fit = {"epochs": 6.0, "learning_rate": 1e-3, "batch_rows": 8}
    prefer(writer, rows, PreferenceSettings(fit=fit))
    assert (writer.total(polite) - writer.total(rude) > before).mean() > 0.9


def test_words_of_control_steer_the_length(base):
    from scipy.stats import spearmanr

    writer = learner(base)
    rows = [(controlled(prompt, {"words": n}), " ".join(["thank"] * n)) for prompt in PROMPTS for n in (1, 2, 3, 4)]
    fitted = learn_answers(writer, rows, {"epochs": 150.0, "learning_rate": 5e-3})
    assert fitted.history[-1]["loss"] < 0.1  # less is known only to who heeds the word
    wanted = [1, 2, 3, 4] * 3
    got = writer.reply([controlled(f"card {i}", {"words": n}) for i, n in enumerate(wanted)], 16)
    assert spearmanr(wanted, [len(one.split()) for one in got]).statistic > 0.5


def test_a_batch_holds_answers_of_every_length(base, monkeypatch):
    """Batches of one length would teach that length to every prompt in turn."""
    seen, plain = [], _preference.answer_loss
    monkeypatch.setattr(_preference, "answer_loss", lambda *given: (seen.append(given[2]), plain(*given))[1])
    rows = [(f"card {i}", " ".join(["thank"] * (1 + i % 4))) for i in range(8)] * 4
    learn_answers(Writer(base), rows, {"steps": 2, "batch_rows": 16})
    assert all(len({len(rows[i][1]) for i in chosen}) == 4 for chosen in seen)


def test_what_cannot_be_learned_from_is_said(base, tmp_path):
    writer = Writer(base)
    with pytest.raises(InputError, match="at least one"):
        prefer(writer, [])
    with pytest.raises(InputError, match="weights"):
        prefer(writer, [Preference("a", "b", "c")], PreferenceSettings(weights=(0.5, 0.5)))
    with pytest.raises(InputError, match="rows to learn from"):
        learn_answers(writer, [])
    with pytest.raises(InputError, match="same goals in every preference; received from 0 to 1"):
        prefer(writer, [Preference("a", "b", "c"), Preference("a", "b", "c", (1.0,))])
    with pytest.raises(InputError, match="one kind, Preference or Judged"):
        prefer(writer, [("a", "b", "c")])
    with pytest.raises(UnknownNameError, match="steps"):
        learn_answers(writer, [("a", "b")], {"stpes": 3})
    with pytest.raises(UnknownNameError, match="setting of learning answers"):
        prefer(writer, [Preference("a", "b", "c")], PreferenceSettings(fit={"label_smoothing": 0.1}))  # heeded by nothing here
    with pytest.raises(InputError, match="list of prompts"):
        writer.reply("card 1")
    with pytest.raises(InputError, match="rank"):
        Writer(base, "lora", {"rnk": 4})
    with pytest.raises(InputError, match=r"network\.json; received none"):
        Writer.load(tmp_path / "nowhere")
    for setting in ({"workers": 2}, {"sharded": True}):  # one process learns
        with pytest.raises(UnknownNameError, match="setting of learning answers"):
            learn_answers(writer, [("a", "b")], setting)
    with pytest.raises(InputError, match="causal language model"):
        Writer(str(testing.tiny_encoder(tmp_path)))
