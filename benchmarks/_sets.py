"""Public sets as a person would hand them over: a file to learn from and one to be tested on, in a folder.

"80-20 seed 0" is `train_test_split(test_size=0.2, random_state=0, stratify=label)` on the rows in file order.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve()


def write(name: str, folder: Path) -> tuple[Path, Path]:
    """Write ``<name>_train.csv`` and ``<name>_test.csv``; where they are."""
    train, test = SETS[name]()
    paths = folder / f"{name}_train.csv", folder / f"{name}_test.csv"
    for rows, path in zip((train, test), paths, strict=True):
        rows.to_csv(path, index=False)
    return paths


def _divided(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    from sklearn.model_selection import train_test_split

    train, test = train_test_split(rows, test_size=0.2, random_state=0, stratify=rows["label"])
    return train, test


def _csv(path: str, text: str) -> pd.DataFrame:
    import pandas as pd

    rows = pd.read_csv(SAMPLES / path).rename(columns={text: "text"})[["text", "label"]]
    return rows[rows["text"].notna()]


def _table(path: str, label: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    import pandas as pd

    return _divided(pd.read_csv(SAMPLES / path).rename(columns={label: "label"}))


def _zh_news() -> tuple[pd.DataFrame, pd.DataFrame]:
    titles, articles = (_csv(f"fin-zh-news/{name}.csv.gz", "title") for name in ("titles_7046", "articles_2400"))
    return titles[~titles["text"].isin(set(articles["text"]))], articles


def _clinc() -> tuple[pd.DataFrame, pd.DataFrame]:
    """In-scope training and validation rows; the test rows with the out-of-scope ones under the label ``oos``."""
    import pandas as pd

    with gzip.open(SAMPLES / "intent-clinc150" / "data_full.json.gz", "rt", encoding="utf-8") as file:
        parts = json.load(file)
    rows = {name: pd.DataFrame(parts[name], columns=["text", "label"]) for name in parts}
    return pd.concat([rows["train"], rows["val"]]), pd.concat([rows["test"], rows["oos_test"]])


def _walmart() -> tuple[pd.DataFrame, pd.DataFrame]:
    """A store's week with its sales one, two and fifty-two weeks before; the last 26 weeks to be tested on."""
    import pandas as pd

    rows = pd.read_csv(SAMPLES / "retail-walmart" / "walmart_weekly.csv.gz")
    rows["Date"] = pd.to_datetime(rows["Date"], format="%d-%m-%Y")
    rows = rows.sort_values(["Store", "Date"])
    for weeks in (1, 2, 52):
        rows[f"Sales_{weeks}_weeks_before"] = rows.groupby("Store")["Weekly_Sales"].shift(weeks)
    rows = rows.dropna().rename(columns={"Weekly_Sales": "label"}).sort_values("Date", kind="stable")
    late = rows["Date"] > rows["Date"].max() - pd.Timedelta(weeks=26)
    return rows[~late], rows[late]


SETS: dict[str, Callable[[], tuple[pd.DataFrame, pd.DataFrame]]] = {
    "phrasebank": lambda: _divided(_csv("fin-phrasebank/phrasebank.csv.gz", "sentence")),
    "twitter": lambda: (_csv("fin-twitter/train.csv.gz", "text"), _csv("fin-twitter/valid.csv", "text")),
    "waimai": lambda: _divided(_csv("zh-reviews/waimai_10k.csv.gz", "review")),
    "hotel": lambda: _divided(_csv("zh-reviews/ChnSentiCorp_htl_all.csv.gz", "review")),
    "zh_news": _zh_news,
    "clinc": _clinc,
    "walmart": _walmart,
    "german": lambda: _table("credit-german/german.csv", "target"),
    "telco": lambda: _table("churn-telco/telco_churn.csv.gz", "Churn"),
    "heloc": lambda: _table("credit-heloc/heloc.csv.gz", "RiskPerformance"),
    "taiwan": lambda: _table("credit-taiwan/taiwan_default.csv.gz", "default"),
}
