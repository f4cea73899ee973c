"""Rows of instruction data: Alpaca (instruction, input, output), ShareGPT (conversations) and OpenAI (messages).

Conversations become a ``prompt``, all turns before the last answer, and that answer, ``output``. Of Alpaca rows, the prompt is
the input where every row has the same instruction, else instruction and input together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from savile.base import answers

if TYPE_CHECKING:
    import pyarrow as pa

PROMPT, OUTPUT, SYSTEM = "prompt", "output", "system"
KEYS = ("messages", "conversations", "conversation")
ROLE, CONTENT = ("role", "from"), ("content", "value")
ANSWERS = ("assistant", "gpt", "bot", "model", "chatgpt")
ASKED = ("user", "human", "prompter")
PREFERENCES = ("chosen", "rejected")


def turns(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row with its conversation as prompt and output; any other row as it is."""
    for key in KEYS:
        found = row.get(key)
        if isinstance(found, list) and found and all(isinstance(turn, dict) for turn in found):
            said = [(_of(turn, ROLE).lower(), _of(turn, CONTENT)) for turn in found]
            if any(role for role, _ in said):
                return {**{name: value for name, value in row.items() if name != key}, **_split(said)}
    return row


def _of(turn: Mapping[str, Any], names: tuple[str, ...]) -> str:
    value = next((turn[name] for name in names if turn.get(name) is not None), "")
    if isinstance(value, list):  # parts of a message: its texts
        value = "\n".join(str(part.get("text", "")) for part in value if isinstance(part, dict))
    return str(value)


def _split(said: list[tuple[str, str]]) -> dict[str, str | None]:
    """System word, what came before the last answer, and the answer; a lone question stands without its role."""
    system = "\n".join(text for role, text in said if role == "system")
    rest = [(role, text) for role, text in said if role != "system"]
    last = max((place for place, (role, _) in enumerate(rest) if role in ANSWERS), default=None)
    before = rest if last is None else rest[:last]
    usual = {**dict.fromkeys(ANSWERS, "assistant"), **dict.fromkeys(ASKED, "user")}
    prompt = answers.conversation([(usual.get(role, role), text) for role, text in before]) if before else ""
    answer = None if last is None else rest[last][1]
    return {**({SYSTEM: system} if system else {}), PROMPT: prompt, OUTPUT: answer}


def shape(table: pa.Table) -> tuple[pa.Table, dict[str, str]]:
    """The table with a prompt column, and the roles that its shape settles; any other table as it is, without roles."""
    import pyarrow.compute as pc

    names = set(table.column_names)
    if {"instruction", OUTPUT} <= names and PROMPT not in names:
        given = table.column("input") if "input" in names else None
        if given is None:
            table = table.append_column(PROMPT, table.column("instruction")).drop_columns(["instruction"])
        elif pc.count_distinct(table.column("instruction")).as_py() == 1 and given.null_count == 0:
            table = table.append_column(PROMPT, given).drop_columns(["input"])
        else:
            parts = [pc.fill_null(table.column(name), "") for name in ("instruction", "input")]
            joined = pc.binary_join_element_wise(*parts, "\n")
            table = table.append_column(PROMPT, pc.utf8_trim_whitespace(joined)).drop_columns(["instruction", "input"])
    names = set(table.column_names)
    return table, ({"text": PROMPT, "label": OUTPUT} if {PROMPT, OUTPUT} <= names else {})
