"""The way round: the audit asks, a person answers in the browser or elsewhere, and the answers become corrections."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import savile
from savile import cli
from savile.base.errors import InputError, UnknownNameError
from savile.base.queue import Question, Queue
from savile.base.records import Dataset
from savile.base.store import Store
from savile.flow import _people

WORDS = {
    "refund": "money back bank amount paid invoice price",
    "delivery": "parcel courier late door address box truck street",
    "login": "password screen account phone code browser locked",
}


@pytest.fixture
def tickets(tmp_path):
    """Texts of a label's words, a tenth of them under another label; one holds an address."""
    rng, names = np.random.default_rng(0), list(WORDS)
    true = np.arange(450) % 3
    texts = [" ".join([*rng.choice(WORDS[names[one]].split(), 5), f"n{i}", f"m{i * 7}"]) for i, one in enumerate(true)]
    given = true.copy()
    flipped = rng.choice(450, 45, replace=False)
    given[flipped] = (true[flipped] + 1) % 3
    texts[flipped[0]] += " ann@example.com"
    path = tmp_path / "tickets.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["text", "label"], *zip(texts, (names[one] for one in given), strict=True)])
    return path


@pytest.fixture
def asked(tickets):
    """The data, and its queue."""
    data = savile.govern(tickets, check_labels="words")
    return data, Queue(Store.open().home)


def test_the_audit_fills_the_queue_once_and_without_test_rows(asked, tickets):
    data, queue = asked
    found = queue.list()
    assert 20 < len(found) < 60
    assert not {one.row for one in found} & set(data.parts["test"].tolist())
    texts = data.column("text")
    assert all(one.text == texts[one.row] and one.data == data.ref for one in found)
    assert np.mean([one.text.split()[0] in WORDS[one.proposed] for one in found]) > 0.8
    savile.govern(tickets, check_labels="words")
    assert queue.list() == found


def test_texts_of_data_kept_as_it_came_are_masked_in_the_queue(tickets):
    savile.govern(tickets, check_labels="words", pii="keep")
    found = Queue(Store.open().home).list()
    assert found
    assert not any("ann@example.com" in one.text for one in found)


def test_rows_that_nobody_labelled_are_asked_about(asked):
    data, queue = asked
    rows = [{"text": "odd one", "proposed": "login", "score": 0.4}, {"text": "odder", "proposed": "", "score": 1.0}]
    before = len(queue.list())
    left = Dataset(data.table, data.roles, data.parts, files={_people.LEFT: json.dumps(rows).encode()}, ref="data@1")
    _people.ask(left)
    assert len(queue.list()) == before + 2
    assert [(one.text, one.row, one.why) for one in queue.list(data="data@1")] == [
        ("odder", -1, "left"),
        ("odd one", -1, "left"),
    ]


@pytest.mark.parametrize("form", ["label_studio", "argilla"])
def test_another_tools_answers_become_corrections(asked, tmp_path, form):
    _, queue = asked
    tasks, fixes = tmp_path / "tasks.json", tmp_path / "fixes.csv"
    assert savile.review(export=tasks, form=form)["written"] == [str(tasks)]
    content = json.loads(tasks.read_text())
    for task in content:  # a person accepts everything
        if form == "argilla":
            task["responses"] = {
                "label": [{"value": task["suggestions"]["label"]["value"], "user_id": "u", "status": "submitted"}]
            }
        else:
            task["annotations"] = [{"result": task["predictions"][0]["result"], "was_cancelled": False, "completed_by": 1}]
    tasks.write_text(json.dumps(content))
    told = savile.review(tasks, corrections=fixes, who="anna")
    assert told["answered"] == {"accepted": len(content)}
    assert told["changed"] == len(content)
    assert savile.review(tasks)["changed"] == 0
    corrected = savile.govern(fixes)
    assert corrected.roles == {"text": "text", "label": "label"}
    assert sorted(corrected.column("text")) == sorted(one.text for one in queue.list())


def test_a_strange_label_or_question_is_refused(asked, tmp_path):
    _, queue = asked
    path, one = tmp_path / "answers.json", queue.list()[0]
    path.write_text(json.dumps({"answers": [{"id": one.id, "label": "refnd"}]}))
    with pytest.raises(UnknownNameError, match="Did you mean 'refund'"):
        savile.review(path)
    path.write_text(json.dumps({"answers": [{"id": one.id, "label": one.proposed}, {"id": "x", "label": "refund"}]}))
    with pytest.raises(InputError, match="questions of this queue"):
        savile.review(path)
    assert queue.list("open") == queue.list()


def test_the_shell_lists_and_a_dry_run_writes_nothing(asked, capsys):
    _, queue = asked
    assert cli.main(["review", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["open"] == len(queue.list())
    assert not (Store.open().pages / "review.html").exists()
    assert cli.main(["review"]) == 0
    assert f"{len(queue.list())} open, none answered" in capsys.readouterr().out
    assert cli.main(["review", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in said["questions"]] == [one.id for one in queue.list()]


def test_an_empty_queue_says_how_it_is_filled():
    assert savile.review()["questions"] == []


def test_a_person_who_is_erased_is_no_longer_asked_about(asked):
    data, queue = asked
    savile.review()
    savile.govern(data.ref, erase=f"text={queue.list()[0].text}")
    assert queue.list() == []
    assert not (Store.open().pages / "review.html").exists()


def test_questions_picked_from_a_file_go_with_the_person(asked, tmp_path):
    data, queue = asked
    path = tmp_path / "more.csv"
    lines = [
        f"please pay my invoice {i} soon, says {'bob' if i == 3 else 'ann'}@example.com number {i * 31}" for i in range(12)
    ]
    path.write_text("text\n" + "".join(f'"{line}"\n' for line in lines))
    savile.review(pick=path, rows=12, base="words")
    before = [one for one in queue.list() if one.data.startswith("rows@")]
    savile.govern(data.ref, erase="ann@example.com")
    assert len(before) == 12
    assert len([one for one in queue.list() if one.data.startswith("rows@")]) == 1


def test_the_page_is_answered_from_the_keyboard_and_its_file_is_taken(browser, tmp_path):
    nasty = '</script><script>document.title = "broken"</script> <!-- & "quoted"'
    rows = [("one", "login", "refund"), ("two", "login", "refund"), (nasty, "login", "refund"), ("four", "", "")]
    queue = Queue(Store.open().home)
    queue.put(Question("data@0", i, *row, "label_error", 0.9 - i / 10) for i, row in enumerate(rows))
    page = browser.new_page()
    problems, fetched = [], []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(Path(savile.review()["pages"][0]).as_uri())
    text = page.locator('[data-is="text"]')
    assert text.text_content() == "one"
    page.keyboard.press("a")
    assert text.text_content() == "two"
    page.keyboard.press("s")
    assert text.text_content() == nasty
    page.keyboard.press("b")
    assert "You: skip" in page.locator('[data-is="said"]').text_content()
    page.keyboard.press("1")  # the label it has
    page.locator("select").select_option("refund")
    assert text.text_content() == "four"
    assert page.locator('[data-key="a"]').is_disabled()
    page.keyboard.press("a")
    page.keyboard.press("s")
    assert "4 answered" in page.locator('[data-is="place"]').text_content()
    with page.expect_download() as download:
        page.locator('[data-is="download"]').click()
    assert problems == []
    assert [url for url in fetched if not url.startswith(("data:", "blob:"))] == [page.url]
    assert page.title() != "broken"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    answers = tmp_path / download.value.suggested_filename
    download.value.save_as(answers)
    page.close()
    assert savile.review(answers)["answered"] == {"accepted": 2, "relabelled": 1, "skipped": 1}
    assert [one.answer for one in queue.list()] == ["refund", "login", "refund", ""]


@pytest.fixture
def unlabelled(tmp_path):
    """Texts of three labels that nobody gave, and which would be right."""
    rng, names = np.random.default_rng(0), list(WORDS)
    kinds = [names[0]] * 120 + [names[1]] * 120 + [names[2]] * 60
    texts = [" ".join([*rng.choice(WORDS[name].split(), 6), f"n{i}"]) for i, name in enumerate(kinds)]
    texts[0] += " ann@example.com"
    path = tmp_path / "new.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["message"], *([text] for text in texts)])
    return path, dict(zip(texts, kinds, strict=True))


def test_rows_are_picked_answered_and_the_answers_steer_the_next_ones(unlabelled, tmp_path):
    path, truth = unlabelled
    answers, fixes = tmp_path / "answers.json", tmp_path / "fixes.csv"
    first = savile.review(pick=path, rows=9, base="words")["questions"]
    assert len(first) == 9
    assert {one["why"] for one in first} == {"gain"}
    assert {one["proposed"] for one in first} == {""}
    assert not any("ann@example.com" in one["text"] for one in first)
    kinds = {
        one["text"]: next(name for text, name in truth.items() if text.split()[:6] == one["text"].split()[:6]) for one in first
    }
    assert set(kinds.values()) == set(WORDS)
    answers.write_text(json.dumps({"answers": [{"id": one["id"], "label": kinds[one["text"]]} for one in first]}))
    told = savile.review(answers, pick=path, rows=20, by="uncertain", base="words")
    assert told["answered"] == {"relabelled": 9}
    assert len(told["questions"]) == 20
    assert not {one["text"] for one in told["questions"]} & set(kinds)
    assert np.mean([truth.get(one["text"]) == one["proposed"] for one in told["questions"]]) > 0.6
    assert savile.review(corrections=fixes)["written"] == [str(fixes)]
    assert len(list(csv.DictReader(fixes.open()))) == 9


def test_a_label_nobody_thought_of_may_be_given_to_picked_rows_only(unlabelled, asked, tmp_path):
    path, _ = unlabelled
    answers = tmp_path / "answers.json"
    found = savile.review(pick=path, rows=3, by="diverse", base="words")["questions"]
    picked = next(one for one in found if one["why"] == "diverse")
    answers.write_text(json.dumps({"answers": [{"id": picked["id"], "label": "complaint"}]}))
    assert savile.review(answers)["answered"] == {"relabelled": 1}
    assert asked[1].labels(picked["data"]) == ["complaint"]


def test_labels_in_the_file_are_learnt_from(unlabelled):
    path, truth = unlabelled
    lines = [[text, name if i % 10 == 0 else ""] for i, (text, name) in enumerate(truth.items())]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["message", "label"], *lines])
    found = savile.review(pick=path, rows=30, base="words")["questions"]
    given = {text for text, name in lines if name}
    assert not given & {one["text"] for one in found}
    assert np.mean([truth.get(one["text"]) == one["proposed"] for one in found]) > 0.6


def test_what_cannot_be_picked_is_said(unlabelled, tmp_path):
    path, _ = unlabelled
    with pytest.raises(UnknownNameError, match="Did you mean 'gain'"):
        savile.review(pick=path, by="gian")
    with pytest.raises(UnknownNameError, match="column"):
        savile.review(pick=path, label="labl")
    full = tmp_path / "full.csv"
    full.write_text("text,label\n" + "".join(f"message number {i} about money,refund\n" for i in range(20)))
    with pytest.raises(InputError, match="texts without a label"):
        savile.review(pick=full, base="words")
    assert Queue(Store.open().home).list() == []


def test_a_new_label_is_typed_once_and_chosen_after_that(browser, tmp_path):
    queue = Queue(Store.open().home)
    queue.put((Question("rows@0", i, f"text {i}", "", "", "gain", 0.9 - i / 10) for i in range(3)), ["refund"])
    page = browser.new_page()
    page.goto(Path(savile.review()["pages"][0]).as_uri())
    page.keyboard.press("n")
    page.keyboard.type("lost parcel")
    page.keyboard.press("Enter")
    assert page.locator('[data-is="text"]').text_content() == "text 1"
    page.keyboard.press("2")  # behind the label that was known
    page.keyboard.press("1")
    with page.expect_download() as download:
        page.locator('[data-is="download"]').click()
    answers = tmp_path / download.value.suggested_filename
    download.value.save_as(answers)
    page.close()
    assert savile.review(answers)["answered"] == {"relabelled": 3}
    assert [one.answer for one in queue.list()] == ["lost parcel", "lost parcel", "refund"]
