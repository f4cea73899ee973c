"""Customer support: sorts what customers write into twelve intents, and hands what it is not sure of to a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict

from savile.base._sections import SECTION
from savile.base.contracts import Answerer, Fields, Items, Route, Work
from savile.base.errors import UnknownNameError
from savile.base.page import Page

task = "classify"
languages = ("en", "zh")
routes: tuple[Route, ...] = ()  # what it needs is the task's own: /v1/classify

# an answered message saves a clerk's minutes, a wrong answer costs a second contact; in any one currency
VALUE = {"right": 0.4, "wrong": -3.0, "person": -1.2}

INTENTS: dict[str, dict[str, str]] = {
    "account_access": {"en": "log-in and account", "zh": "登录与账户"},
    "cancel_order": {"en": "cancelling an order", "zh": "取消订单"},
    "change_delivery": {"en": "changing a delivery", "zh": "修改配送"},
    "complaint": {"en": "a complaint", "zh": "投诉"},
    "damaged_or_wrong_item": {"en": "a damaged or wrong item", "zh": "商品破损或发错"},
    "discount_code": {"en": "discounts and codes", "zh": "优惠与优惠码"},
    "invoice_request": {"en": "an invoice", "zh": "发票"},
    "order_status": {"en": "where an order is", "zh": "订单进度"},
    "payment_problem": {"en": "a problem with a payment", "zh": "支付问题"},
    "product_question": {"en": "a question about a product", "zh": "商品咨询"},
    "refund_status": {"en": "where a refund is", "zh": "退款进度"},
    "return_item": {"en": "returning an item", "zh": "退货"},
}
INBOX = {
    "en": (
        "Inbox",
        "{answered} of {n} messages can be answered at once, {left} belong to a person.",
        "Row|Intent|Probability|Reply|Message",
    ),
    "zh": ("收件箱", "{n}条消息中{answered}条可以立即回复，{left}条需要人工处理。", "行|意图|概率|回复|消息"),
}
QUESTIONS = {
    "en": (
        "I was charged twice for the same pair of shoes, please sort it out",
        "could you send the parcel to my office instead of my flat?",
        "The lid of the casserole arrived in three pieces.",
    ),
    "zh": ("同一双鞋扣了我两次钱，帮我查一下", "快递能不能改送到公司？", "锅盖收到的时候碎成三块了"),
}
REPLIES = {
    "en": (
        "Thank you. This is about {about}; you will have an answer shortly.",
        "Thank you. A colleague will read this and answer you.",
    ),
    "zh": ("您好，您咨询的是{about}，我们马上回复您。", "您好，已为您转接人工客服，请稍候。"),
}


@dataclass(frozen=True)
class Settings:
    """Nothing to set."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION


def sources() -> Fields:
    """A message and its intent; time and customer steer how rows are divided."""
    return Fields(required=("text", "label"), optional=("time", "group"))


def accepts(labels: Sequence[str], settings: Settings) -> str | None:
    """Any labels: a message under a label that is no intent of ours goes to a person."""
    return None


def sample(language: str) -> Path:
    """300 messages, 25 of each intent, written one by one."""
    return Path(__file__).with_name(f"sample_{_spoken(language)}.jsonl")


def gates() -> dict[str, Any]:
    """Three of four right on the test rows, and not below TF-IDF with a linear model."""
    return {"evaluate.floor": 0.75, "evaluate.must_beat": "linear"}


def recipe(language: str) -> dict[str, Any]:
    """The whole line on the sample: personal data masked, 90 s of training, the bars, what an answer is worth."""
    return {
        "name": f"support-{_spoken(language)}",
        "task.kind": task,
        "app.name": "support",
        "app.language": language,
        "data.path": str(sample(language)),
        "data.pii": "mask",
        "adapt.budget.minutes": 1.5,
        "evaluate.value": VALUE,
        **gates(),
    }


def questions(language: str) -> tuple[str, ...]:
    """Three messages that are not in the sample."""
    return QUESTIONS[_spoken(language)]


def reply(label: str, probability: float, abstain: bool, language: str) -> str:
    """What the customer reads first; a person answers what the model is not sure of or does not know."""
    known, unsure = REPLIES[_spoken(language)]
    about = INTENTS.get(label, {}).get(language)
    return unsure if abstain or about is None else known.format(about=about)


def apply(items: Items, answerer: Answerer, language: str, settings: Settings) -> Work:
    """The inbox: every message with its intent and a reply, what belongs to a person first."""
    title, said, head = INBOX[_spoken(language)]
    answers = answerer(items.texts)
    rows = []
    for number, text, choice, sure, abstain in zip(
        items.numbers, items.texts, answers.choice, answers.confidence.tolist(), answers.abstain.tolist(), strict=True
    ):
        label = answerer.labels[int(choice)]
        person = abstain or label not in INTENTS
        told = {"row": number, "label": label, "probability": sure, "person": person}
        rows.append({**told, "reply": reply(label, sure, abstain, language), "text": text})
    rows.sort(key=lambda row: (not row["person"], row["row"]))
    left = sum(row["person"] for row in rows)
    summary = said.format(n=len(rows), answered=len(rows) - left, left=left)
    cells = [[row["row"], row["label"], f"{row['probability']:.2f}", row["reply"], row["text"]] for row in rows]
    page = Page(title, language).text(summary, tone="lead").table(head.split("|"), cells)
    return Work((summary,), {"answered": len(rows) - left, "to_a_person": left, "answers": rows}, {"inbox": page.html()})


def pages(language: str) -> dict[str, str]:
    """A guide for the people who label and answer."""
    words = {
        "en": (
            "Customer support",
            "Twelve intents; what fits none of them goes to a person.",
            ("Intent", "Customers write about"),
        ),
        "zh": ("客户支持", "共十二种意图；不属于任何一种的消息交给人工处理。", ("意图", "客户咨询的内容")),
    }
    title, lead, head = words[_spoken(language)]
    guide = Page(title, language).text(lead, tone="lead")
    return {"guide": guide.table(head, [[label, names[language]] for label, names in INTENTS.items()]).html()}


def _spoken(language: str) -> str:
    if language not in languages:
        raise UnknownNameError("language of the app support", language, languages)
    return language
