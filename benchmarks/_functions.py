"""Labelling functions for four sets, written from what the labels mean, before any accuracy was looked at: label -> words."""

from __future__ import annotations

BAD, GOOD = "0", "1"
FOOD = [
    (GOOD, "好吃"),
    (GOOD, "不错|挺好|很好"),
    (GOOD, "很快|神速|准时"),
    (GOOD, "推荐|赞|喜欢"),
    (GOOD, "美味|新鲜|实惠|热乎"),
    (BAD, "难吃|恶心|不好吃"),
    (BAD, "太慢|很慢|慢死|等了|小时"),
    (BAD, "差评|太差|很差|失望"),
    (BAD, "凉了|冷了|都凉|洒了"),
    (BAD, "没送|送错|少送|漏|没有给"),
    (BAD, "再也不|不会再|垃圾|态度"),
]
HOTEL = [
    (GOOD, "不错|挺好|很好"),
    (GOOD, "干净|整洁|舒适|舒服"),
    (GOOD, "热情|周到|友好"),
    (GOOD, "方便|便利"),
    (GOOD, "满意|推荐|下次还"),
    (BAD, "太差|很差|极差"),
    (BAD, "脏|异味|霉|蟑螂"),
    (BAD, "吵|隔音|噪音"),
    (BAD, "失望|不值|后悔"),
    (BAD, "陈旧|破旧|老化|旧了"),
    (BAD, "不会再|再也不|投诉|态度"),
]
STOCKS = [
    (GOOD, "增长|增持|大增|预增"),
    (GOOD, "涨停|大涨|涨幅|走强"),
    (GOOD, "中标|签订|签署|合作"),
    (GOOD, "获批|获得|荣获|入选"),
    (GOOD, "回购|分红|派"),
    (GOOD, "创新高|突破|扭亏"),
    (BAD, "下滑|下降|亏损|预亏"),
    (BAD, "跌停|大跌|跌幅|走弱"),
    (BAD, "减持|清仓"),
    (BAD, "处罚|违规|立案|警示|问询"),
    (BAD, "诉讼|冻结|质押|仲裁"),
    (BAD, "退市|st|违约|暂停"),
]
DOMAINS = [
    ("banking", "account|bank|routing|checks?\\b|pin\\b"),
    ("banking", "transfer|deposit|balance|bill|interest"),
    ("credit_cards", "credit|card|visa|apr\\b|limit"),
    ("credit_cards", "rewards?|points|score"),
    ("kitchen_and_dining", "recipe|cook|ingredients?|calories"),
    ("kitchen_and_dining", "restaurant|reservation|food|meal|eat"),
    ("home", "lights?|shopping list|to ?do|remind|calendar"),
    ("home", "song|playlist|music|order"),
    ("auto_and_commute", "car|gas|tires?|oil|mpg"),
    ("auto_and_commute", "traffic|directions|uber|distance|drive"),
    ("travel", "flight|hotel|travel|trip|visa"),
    ("travel", "luggage|vaccine|plug|airline|tourist"),
    ("utility", "alarm|timer|time|weather|date"),
    ("utility", "call|text|phone|define|calculate|spell|flip"),
    ("work", "vacation|pto|meeting|payday|income"),
    ("work", "insurance|taxes|401k|w2|direct deposit"),
    ("small_talk", "joke|your name|how old|hobbies|hello"),
    ("small_talk", "thanks?|are you|goodbye|who made|meaning of life"),
    ("meta", "language|volume|accent|speed|slower|louder"),
    ("meta", "yes|no\\b|maybe|repeat|cancel|settings"),
]
