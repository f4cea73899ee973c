"""The page: the brief, every alarm with its days and its rows, companies side by side, and how it was reckoned."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from savile.apps.sentiment_watch._brief import chance, day, period, share
from savile.apps.sentiment_watch._watch import Surge, Watch
from savile.base.page import Bar, Page

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "title": "Sentiment watch",
        "alarms": "alarms",
        "items": "items",
        "companies": "companies",
        "negative": "negative",
        "alarm": "Alarm: {company}, {period}",
        "daily": "Expected negative items a day",
        "raised": "days of the alarm",
        "rows": "The rows behind it, the surest first",
        "row_head": "Row|Date|Chance that it is negative|Text",
        "side": "Companies",
        "forest": "Share of negative items, with 95 % intervals",
        "company_head": "Company|Items|Negative|Positive|Net, points|Trend a week, points|p",
        "weeks": "Net sentiment by week: share of positive less share of negative items, in points",
        "people": "labelled",
        "comma": ", ",
        "how": "How this was reckoned",
        "how_share": "Shares are sums of calibrated probabilities, not of hard labels, re-weighed to the shares at hand "
        "(expectation and maximisation, Saerens and others 2002) and drawn towards all companies where items are few. "
        "Intervals hold what the classifier does not know.",
        "how_alarm": "An alarm compares the negative items of {window} days with up to {history} days of the company's own "
        "past, with counts more spread than Poisson and weekdays allowed for. Each day may spend a part of {alpha:.0%}; "
        "within a day companies are judged together (Benjamini and Hochberg 1995). "
        "Days of an alarm do not count as usual afterwards.",
        "how_trend": "Trends are slopes of Theil and Sen over weekly net sentiment, tested by Mann and Kendall with the "
        "first autocorrelation allowed for; a slow cycle can still look like a trend. With fewer than 6 weeks there is none.",
        "how_rows": "A text that names several companies counts for each of them; a text that is repeated counts once.",
    },
    "zh": {
        "title": "舆情监测",
        "alarms": "次警报",
        "items": "条内容",
        "companies": "家公司",
        "negative": "负面占比",
        "alarm": "警报：{company}，{period}",
        "daily": "每日预期负面条数",
        "raised": "警报期间",
        "rows": "相关内容，按确定程度排列",
        "row_head": "行|日期|负面概率|内容",
        "side": "各公司对比",
        "forest": "负面占比及95%区间",
        "company_head": "公司|条数|负面|正面|净情绪（百分点）|每周变化（百分点）|p",
        "weeks": "每周净情绪：正面占比减负面占比（百分点）",
        "people": "人工标注",
        "comma": "、",
        "how": "计算方法",
        "how_share": "占比是校准后概率之和，而不是硬标签计数，并按当前比例重新加权（期望最大化，Saerens 等，2002）；"
        "条数少时向全体公司收缩。区间已包含分类器自身的不确定性。",
        "how_alarm": "警报把{window}天内的负面条数与该公司自身最多{history}天的历史相比，允许计数比泊松分布更分散，"
        "并考虑星期的影响。每天只能用掉{alpha:.0%}中的一部分；同一天内各公司一并判断"
        "（Benjamini 与 Hochberg，1995）。警报期间不再算作常态。",
        "how_trend": "趋势为周度净情绪的 Theil–Sen 斜率，用 Mann–Kendall 检验并考虑一阶自相关；缓慢的周期仍可能看似趋势。"
        "不足6周时不计算趋势。",
        "how_rows": "同时提及多家公司的内容，对每家各计一次；重复的内容只计一次。",
    },
}


Chance = tuple[date, float, bool]


def page(watch: Watch, lines: list[str], texts: Mapping[int, str], chances: Mapping[int, Chance], language: str) -> str:
    """The HTML of a watch.

    Args:
        watch: what is shown.
        lines: the brief.
        texts: row number -> masked text.
        chances: row number -> its date, the chance that it is negative, and whether people said so.
        language: en or zh.
    """
    words = WORDS[language]
    made = Page(words["title"], language).text(lines[0], tone="lead")
    made.figures(
        [
            (words["alarms"], str(len(watch.surges)), words["comma"].join(dict.fromkeys(one.company for one in watch.surges))),
            (words["items"], f"{watch.items:,}", period(watch.first, watch.last, language)),
            (words["companies"], str(len(watch.companies)), ""),
            (words["negative"], f"{watch.shares[0].value:.0%}", share(watch.shares[0], language)),
        ]
    )
    for line in lines[1:]:
        made.text(line, tone="bad" if line.startswith(words["alarm"].partition("{")[0]) else "plain")
    for surge in watch.surges:
        _alarm(made, watch, surge, texts, chances, language)
    _companies(made, watch, language)
    made.heading(words["how"])
    rule = watch.rule
    for name in ("how_share", "how_alarm", "how_trend", "how_rows"):
        made.text(words[name].format(window=rule.window, history=rule.history, alpha=rule.alpha), tone="note")
    return made.html()


def _alarm(
    made: Page, watch: Watch, surge: Surge, texts: Mapping[int, str], chances: Mapping[int, Chance], language: str
) -> None:
    words = WORDS[language]
    made.heading(words["alarm"].format(company=surge.company, period=period(surge.first, surge.last, language)))
    daily = watch.daily[surge.company]
    labels = [day(watch.first + timedelta(days=i), language) for i in range(len(daily))]
    marked = range((surge.first - watch.first).days, (surge.last - watch.first).days + 1)
    made.columns(words["daily"], labels, daily.tolist(), marked, words["raised"])
    rows = []
    for row in surge.rows:
        when, p, known = chances[row]
        rows.append([row, when.isoformat().replace("-", "\u2011"), words["people"] if known else f"{p:.2f}", texts[row]])
    made.table(words["row_head"].split("|"), rows, words["rows"])


def _companies(made: Page, watch: Watch, language: str) -> None:
    words = WORDS[language]
    made.heading(words["side"])
    ends = [(one, one.negative) for one in watch.companies]
    bars = [Bar(f"{one.name} ({one.items})", round(100 * n.value), 100 * n.low, 100 * n.high) for one, n in ends]
    made.bars(words["forest"], bars, " %")
    rows = []
    for one in watch.companies:
        trend = (f"{100 * one.trend.slope:+.1f}", chance(one.trend.p)) if one.trend else (None, None)
        negative, positive = share(one.negative, language), share(one.positive, language)
        rows.append([one.name, one.items, negative, positive, f"{100 * one.net:+.0f}", *trend])
    made.table(words["company_head"].split("|"), rows)
    weeks = sorted({week for one in watch.companies for week, _, _ in one.weeks})
    head = [words["companies"], *(day(watch.first + timedelta(days=7 * week), language) for week in weeks)]
    net = [{week: f"{100 * value:+.0f}" for week, value, _ in one.weeks} for one in watch.companies]
    table = [[one.name, *(by.get(week) for week in weeks)] for one, by in zip(watch.companies, net, strict=True)]
    made.table(head, table, words["weeks"], folded=True)
