"""What stands around a text when a decoder is asked: the chat template of its own tokenizer, cut where the text goes in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from savile.base.errors import InputError
from savile.base.records import digest

MARK = "\x00here\x00"
PLAIN = "{instruction}\n\nText: {text}\nAnswer:"  # for a base that was never taught to chat


@dataclass(frozen=True)
class Prompt:
    """Token ids before and behind a text.

    Attributes:
        before: what every text has before it; read once for a whole batch.
        after: what stands between the text and the answer.
        end: the token that ends an answer.
        lead: characters an answer begins with.
        template: SHA-256 of the chat template, which is the tokenizer's own.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    end: int
    lead: str
    template: str

    def as_json(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


def made(folder: Path, tokenizer: Any, instruction: str) -> Prompt:
    """The prompt of a base.

    Args:
        folder: the base's own files.
        tokenizer: its `tokenizers.Tokenizer`.
        instruction: what is asked of every text.

    Raises:
        InputError: the template leaves the text out, or has no token to end an answer with.
    """
    from transformers import AutoTokenizer

    chat = AutoTokenizer.from_pretrained(folder)
    template = chat.chat_template if isinstance(chat.chat_template, str) else ""
    text = _rendered(chat, instruction) if template else PLAIN.format(instruction=instruction, text=MARK)
    before, mark, after = text.partition(MARK)
    if not mark or chat.eos_token_id is None:
        raise InputError("a chat template that keeps the text, and an end-of-text token", str(folder), "Mend the tokenizer.")
    ids = [tokenizer.encode(part, add_special_tokens=False).ids for part in (before, after)]
    start = [] if template or chat.bos_token_id is None else [chat.bos_token_id]
    return Prompt((*start, *ids[0]), tuple(ids[1]), chat.eos_token_id, "" if template else " ", digest(template or PLAIN))


def _rendered(chat: Any, instruction: str) -> str:
    """The template around a text; one that knows no system's words is told within the user's."""
    from jinja2 import TemplateError

    system, user = {"role": "system", "content": instruction}, {"role": "user", "content": MARK}
    options = {"tokenize": False, "add_generation_prompt": True}
    try:
        rendered: str = chat.apply_chat_template([system, user], **options)
        if instruction in rendered:
            return rendered
    except TemplateError:
        pass
    told: str = chat.apply_chat_template([{"role": "user", "content": f"{instruction}\n\n{MARK}"}], **options)
    return told


def between(folder: Path, tokenizer: Any) -> tuple[int, ...]:
    """Token ids between an answer and what is asked next; arguments as of `made`.

    Raises:
        InputError: the template knows no second question.
    """
    from jinja2 import TemplateError
    from transformers import AutoTokenizer

    chat, marks = AutoTokenizer.from_pretrained(folder), [f"\x00{place}\x00" for place in range(3)]
    text = PLAIN.format(instruction="", text=marks[0]) + f" {marks[1]}" + PLAIN.format(instruction="", text=marks[2])
    if isinstance(chat.chat_template, str):
        said = [{"role": ("user", "assistant")[place % 2], "content": mark} for place, mark in enumerate(marks)]
        try:
            text = chat.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
        except TemplateError as error:
            raise InputError("a chat template for several turns", str(error), "Give rows of one question each.") from error
    found = text.partition(marks[1])[2].partition(marks[2])[0]
    tokenizer.encode_special_tokens = False
    return tuple(tokenizer.encode(found, add_special_tokens=False).ids)


def reader(tokenizer: Any, after: Sequence[int], max_length: int) -> Callable[[Sequence[str]], list[list[int]]]:
    """Texts -> token ids, each text cut so that it fits `max_length` with what stands behind it.

    A text is only ever text: what looks like a token of the template in it is read letter by letter.
    """
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    tokenizer.enable_truncation(max(1, max_length - len(after)))
    behind = list(after)
    return lambda texts: [
        encoding.ids + behind for encoding in tokenizer.encode_batch([text.strip() for text in texts], add_special_tokens=False)
    ]


def reader_of_files(files: Mapping[str, Path]) -> Callable[[Sequence[str]], list[list[int]]]:
    """The same, from ``tokenizer.json`` and ``prompt.json`` of a form."""
    from tokenizers import Tokenizer

    said = json.loads(files["prompt.json"].read_text())
    return reader(Tokenizer.from_file(str(files["tokenizer.json"])), said["after"], said["max_length"])
