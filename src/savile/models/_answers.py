"""Answers in words: prompts and answers as tokens, how likely an answer is, and what a language model writes by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from savile.base import answers
from savile.base.outputs import Replies
from savile.models import _prompt
from savile.models._rows import TokenRows, autocast

if TYPE_CHECKING:
    from savile.models._decoder import TextDecoder

INSTRUCTION = "Answer the message."
LONGEST = 512  # tokens of an answer
BATCH = 16  # answers whose likelihood is looked at together
ALONE = RLock()  # a tokenizer is told how to read before it reads, and one thread writes as fast as two


@dataclass(frozen=True)
class Written:
    """Prompts and answers as token ids; row i of one belongs to row i of the other.

    Attributes:
        prompts: with what stands behind them.
        answers: with the token that ends them.
    """

    prompts: TokenRows
    answers: TokenRows

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, int64 (n,)."""
        return np.asarray(self.prompts.lengths + self.answers.lengths)


def tokenised(network: TextDecoder, prompts: Sequence[str], given: Sequence[str], most: int = LONGEST) -> Written:
    """Prompts and the answers to them, as tokens; prompts are cut as the network cuts them, answers to `most`."""
    read = TokenRows(asked(network, prompts))
    network.tokenizer.encode_special_tokens = True
    network.tokenizer.no_truncation()
    lead, end = network.prompt.lead, network.prompt.end
    said = network.tokenizer.encode_batch([lead + one.strip() for one in given], add_special_tokens=False)
    return Written(read, TokenRows([[*one.ids[: most - 1], end] for one in said]))


def asked(network: TextDecoder, prompts: Sequence[str]) -> list[list[int]]:
    """Token ids of each prompt and what stands behind it; a conversation (see `savile.base.answers.turns`) turn by turn, as the
    chat template has it, and cut from its beginning.
    """
    with ALONE:
        return _asked(network, [answers.turns(prompt) for prompt in prompts])


def _asked(network: TextDecoder, several: Sequence[list[tuple[str, str]]]) -> list[list[int]]:
    found = network.encode([said[-1][1] for said in several])
    if all(len(said) == 1 for said in several):
        return found
    after, between, lead = (
        list(network.prompt.after),
        list(_prompt.between(network.folder, network.tokenizer)),
        network.prompt.lead,
    )
    network.tokenizer.encode_special_tokens = True
    network.tokenizer.no_truncation()
    for row, said in enumerate(several):
        for place in range(len(said) - 3, -1, -2):  # a question and the answer it had, the newest first
            texts = [said[place][1], lead + said[place + 1][1]]
            question, answer = (network.tokenizer.encode(text, add_special_tokens=False).ids for text in texts)
            earlier = [*question, *after, *answer, *between]
            if len(earlier) + len(found[row]) > network.max_length:
                break
            found[row] = earlier + found[row]
    return found


def scored(network: TextDecoder, written: Written, rows: np.ndarray, measure: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """What `measure` says of each answer token, (n, k), from scores (m, vocabulary), float32, and tokens (m,); and where there
    is a token, bool (n, k).

    What all prompts have before them is read once, and scores are computed where an answer is learned and nowhere else.
    """
    device = network.device
    ids, mask = (torch.from_numpy(one).to(device) for one in written.prompts.padded(rows))
    given, there = (torch.from_numpy(one).to(device) for one in written.answers.padded(rows))
    read, seen, real = given[:, :-1], there[:, :-1].bool(), there.bool()
    depths = torch.arange(read.shape[1], device=device).expand_as(read)
    within = torch.ones(read.shape[1], read.shape[1], dtype=torch.bool, device=device).tril()
    hidden = network.behind(ids, mask, read, depths, within[None] & seen[:, None, :])[real]
    scores = F.linear(hidden, network._scaled_head()).float()
    found = torch.zeros(real.shape, device=device).masked_scatter(real, measure(scores, given[real]))
    return found, real


def logprobs(network: TextDecoder, written: Written, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability of each answer token, float32 (n, k), 0 where there is none, and where there is one, bool (n, k)."""
    return scored(network, written, rows, lambda scores, tokens: -F.cross_entropy(scores, tokens, reduction="none"))


@torch.inference_mode()
def total(network: TextDecoder, written: Written, precision: torch.dtype = torch.float32) -> np.ndarray:
    """Log-probability of each whole answer, float64 (n,)."""
    found = np.empty(len(written.prompts))
    order = np.argsort(-written.lengths, kind="stable")
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        with autocast(precision, network.device):
            found[rows] = logprobs(network, written, rows)[0].sum(1).double().cpu().numpy()
    return found


def likely(network: TextDecoder, prompts: Sequence[str], given: Sequence[str]) -> np.ndarray:
    """Log-probability of the answer given to each prompt, and how many tokens it has, float64 (n, 2)."""
    if not len(prompts):
        return np.zeros((0, 2))
    written = tokenised(network, prompts, given)
    return np.column_stack([total(network, written), written.answers.lengths])


@torch.inference_mode()
def reply(network: TextDecoder, prompts: Sequence[str], tokens: int, sample: int | None = None) -> Replies:
    """An answer to each prompt, of at most so many tokens: the likeliest ones, or drawn with the seed `sample`."""
    if sample is not None:
        torch.manual_seed(sample)
    end, found = network.prompt.end, []
    with ALONE:
        for ids in asked(network, prompts):
            read = torch.tensor([[*network.prompt.before, *ids]], device=network.device)
            whole = network.trunk.generate(
                read,
                attention_mask=torch.ones_like(read),
                max_new_tokens=tokens,
                do_sample=sample is not None,
                eos_token_id=end,
                pad_token_id=end,
            )
            found.append(whole[0, read.shape[1] :].tolist())
    return Replies.of(found, [spelt(network, one) for one in found])


def spelt(network: TextDecoder, tokens: Sequence[int]) -> str:
    """Tokens as text, without what ends an answer."""
    text: str = network.tokenizer.decode([token for token in tokens if token != network.prompt.end])
    return text.strip()


class AnswerRows:
    """Prompts and answers to learn from, or to be judged by.

    Args:
        network: who answers.
        rows: prompts and the answers to give.
        precision: the type of matrix products.

    Attributes:
        tokens: both of each row one behind the other.
        by: what rows are brought together by, int64 (n,): batches of answers of one length would teach that length to every
            prompt in turn, so that prompts alone bring rows together.
    """

    def __init__(self, network: TextDecoder, rows: tuple[Sequence[str], np.ndarray], precision: torch.dtype) -> None:
        self.network, self.precision = network, precision
        self.written = tokenised(network, rows[0], rows[1].tolist())
        self.by = self.written.prompts.lengths
        self.tokens = TokenRows([[0] * length for length in self.written.lengths.tolist()])

    def loss(self, rows: np.ndarray) -> torch.Tensor:
        """Mean over the answer tokens of some rows of minus their log-probability."""
        return mean_loss(self.network, self.written, rows)

    def judged(self) -> tuple[float, float]:
        """The mean probability of an answer token (geometric), and the loss."""
        self.network.eval()
        loss = -float(total(self.network, self.written, self.precision).sum() / self.written.answers.lengths.sum())
        return math.exp(-loss), loss


def mean_loss(network: TextDecoder, written: Written, rows: np.ndarray) -> torch.Tensor:
    """Mean over answer tokens of minus their log-probability."""
    found, real = logprobs(network, written, rows)
    return -found.sum() / real.sum()
