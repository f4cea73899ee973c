"""A deck of cards on a page: one question at a time, answered by a key, the answers downloaded as one JSON file.

Answers stay in the page until they are downloaded; closing it before asks. The labels of one set of data are written once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from savile.base._plots import escape


class Card(NamedTuple):
    """One question: its id, the text, the label given and the one proposed (empty for none), why it is asked, the labels.

    `free` says whether a label may be given that is not among them.
    """

    id: str
    text: str
    given: str
    proposed: str
    why: str
    labels: Sequence[str]
    free: bool = False


def deck(cards: Sequence[Card], file: str) -> str:
    """The cards, their controls and the script that turns them.

    Args:
        cards: in the order to be shown.
        file: name of the file with the answers, ``{"answers": [{"id": …, "label": …}]}``; an empty label is one skipped.
    """
    content = json.dumps([card._asdict() for card in cards], ensure_ascii=False).replace("<", "\\u003c")
    return (
        f'<section class="deck" data-file="{escape(file)}"><p class="note" data-is="place" role="status"></p>'
        '<p class="lead" data-is="text"></p><p data-is="said"></p><p class="note" data-is="why"></p><p>'
        '<button data-key="a">Accept (A)</button> <select data-is="labels" aria-label="Another label"></select> '
        '<input data-is="new" aria-label="A new label" placeholder="New label (N)" hidden> '
        '<button data-key="s">Skip (S)</button> <button data-key="b">Back (B)</button> '
        '<button data-is="download">Download the answers</button></p>'
        f'<script type="application/json">{content}</script></section><style>{_STYLE}</style><script>{_TURN}</script>'
    )


_STYLE = """
.deck { background: var(--sheet); border: 1px solid var(--rule); border-radius: 8px; padding: 0.8rem 1rem; }
.deck [data-is="text"] { white-space: pre-wrap; overflow-wrap: anywhere; min-height: 5rem; }
.deck button, .deck select, .deck input { font: inherit; color: inherit; background: var(--ground); max-width: 100%;
  border: 1px solid var(--rule); border-radius: 6px; padding: 0.3rem 0.7rem; }
.deck button:disabled { opacity: 0.4; }
"""

_TURN = """
{
  const deck = document.querySelector(".deck"), part = name => deck.querySelector(`[data-is="${name}"]`);
  const cards = JSON.parse(deck.querySelector("script").textContent), said = new Map(), select = part("labels");
  const typed = part("new"), added = [];
  let at = 0, saved = true;
  const state = (card, label) => label === "" ? "skipped" : label === card.proposed ? "accepted" : "relabelled";
  const show = () => {
    const card = cards[at], over = at >= cards.length;
    part("place").textContent = `${over ? "All shown" : `${at + 1} of ${cards.length}`}, ${said.size} answered`;
    part("text").textContent = over ? "Download the answers." : card.text;
    part("said").textContent = over ? "" : [
      card.given && `Label: ${card.given}`, card.proposed && `Rather: ${card.proposed}`,
      said.has(card.id) && `You: ${said.get(card.id) || "skip"} (${state(card, said.get(card.id))})`,
    ].filter(Boolean).join(". ");
    part("why").textContent = over ? "" : card.why;
    const choices = over ? [] : [...card.labels, ...(card.free ? added.filter(one => !card.labels.includes(one)) : [])];
    typed.hidden = over || !card.free;
    typed.value = "";
    select.replaceChildren(new Option("Another label (L)", ""), ...choices.map((label, i) =>
      new Option(i < 9 ? `${i + 1} ${label}` : label, label)));
    select.disabled = over;
    deck.querySelector('[data-key="a"]').disabled = over || !card.proposed;
    deck.querySelector('[data-key="s"]').disabled = over;
    deck.querySelector('[data-key="b"]').disabled = at === 0;
  };
  const answer = label => { said.set(cards[at].id, label); saved = false; at += 1; select.blur(); show(); };
  const press = key => {
    const card = cards[at];
    if (key === "b" && at > 0) { at -= 1; show(); }
    else if (!card) return;
    else if (key === "a" && card.proposed) answer(card.proposed);
    else if (key === "s") answer("");
    else if (key === "l") select.focus();
    else if (key === "n" && card.free) typed.focus();
    else if (/^[1-9]$/.test(key) && select.options[key]) answer(select.options[key].value);
  };
  document.addEventListener("keydown", event => {
    if (event.target === select || event.target === typed || event.ctrlKey || event.metaKey || event.altKey) return;
    press(event.key.toLowerCase());
    if (["l", "n"].includes(event.key.toLowerCase())) event.preventDefault();
  });
  select.onchange = () => select.value && answer(select.value);
  typed.onkeydown = event => {
    const label = typed.value.trim();
    if (event.key === "Escape") typed.blur();
    if (event.key !== "Enter" || !label) return;
    if (!added.includes(label)) added.push(label);
    typed.blur();
    answer(label);
  };
  for (const button of deck.querySelectorAll("[data-key]"))
    button.onclick = () => { button.blur(); press(button.dataset.key); };
  part("download").onclick = () => {
    const answers = [...said].map(([id, label]) => ({ id, label }));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify({ answers }, null, 1)], { type: "application/json" }));
    link.download = deck.dataset.file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    saved = true;
  };
  addEventListener("beforeunload", event => { if (!saved) event.preventDefault(); });
  show();
}
"""
