"""An app at work: news becomes sentiment per company, alarms with the rows behind them, and a brief.

With a file of yours: a column of texts, one of labels, one of dates, and a list of companies with a company a line, its aliases
behind it. Once a model is released, `release="champion"` lets it read news that nobody has labelled.

python examples/10_app.py [FILE COMPANIES]
"""

import sys

import savile
from savile.apps import sentiment_watch

sample = sentiment_watch.sample("en")
file, companies = sys.argv[1:] if len(sys.argv) > 2 else (sample, sample.with_name("companies_en.csv"))

settings = {"model.family": "linear", "evaluate.floor": 0.4, "app.settings.companies": str(companies)}
learnt = savile.run(file, app="sentiment_watch", settings=settings)
print("\n".join(learnt.json["app"]["summary"]))

read = savile.run(
    file, app="sentiment_watch", release=learnt.json["release"], settings={"app.settings.companies": str(companies)}
)
print(f"read by the model alone: {[alarm['company'] for alarm in read.json['app']['alarms']]}", read.json["pages"][0])
