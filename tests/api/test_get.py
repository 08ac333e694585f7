"""GET /api/{user_id}/tasks/{task_id}"""

import pytest

from tests.support.users import MISSING, User


def test_task_is_given_as_it_was_made(ada: User):
    task = ada.create_task(description="Two litres", completed=True)
    answer = ada.get(f"/{task['id']}")
    assert answer.status_code == 200
    assert answer.json() == task


def test_answer_is_one_persons_and_may_not_be_shared(ada: User):
    answer = ada.get(f"/{ada.create_task()['id']}")
    assert answer.headers["cache-control"] == "private, no-cache"
    assert "Authorization" in answer.headers["vary"]


def test_missing_task_and_anothers_are_one_answer(ada: User, bob: User):
    missing, bobs = ada.get(f"/{MISSING}"), ada.get(f"/{bob.create_task()['id']}")
    assert missing.status_code == bobs.status_code == 404
    assert missing.json() | {"request_id": ""} == bobs.json() | {"request_id": ""}


@pytest.mark.parametrize("spelling", ["+{}", "0{}", "{}.0", "{}%0A", "%20{}", "{}_", "-{}", "{}e0"])
def test_id_has_one_spelling(ada: User, spelling: str):
    task = ada.create_task()
    assert ada.get("/" + spelling.format(task["id"])).status_code == 404


@pytest.mark.parametrize(
    "task_id",
    ["0", "-1", str(2**63), "9" * 19, "5" * 5000, "%EF%BC%95", "task"],
    ids=["zero", "negative", "2^63", "19 nines", "5000 digits", "fullwidth", "a word"],
)
def test_what_cannot_be_an_id_is_404(ada: User, task_id: str):
    assert ada.get(f"/{task_id}").status_code == 404


def test_head_answers_the_same_without_the_body(ada: User):
    path = f"/{ada.create_task()['id']}"
    head, get = ada.request("HEAD", path), ada.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(get.content)
