"""PUT /api/{user_id}/tasks/{task_id}"""

import pytest

from tests.support.users import MISSING, User


def test_put_replaces_everything_given(ada: User):
    task = ada.create_task(description="Two litres")
    answer = ada.put(f"/{task['id']}", {"title": "Buy oats", "description": "One bag", "completed": True})
    assert answer.status_code == 200
    changed = answer.json()
    assert (changed["title"], changed["description"], changed["completed"]) == ("Buy oats", "One bag", True)
    assert changed == ada.get(f"/{task['id']}").json()


@pytest.mark.parametrize(
    "given", [{}, {"description": "One bag"}, {"description": None}, {"completed": False}]
)
def test_what_is_left_out_keeps_its_value(ada: User, given: dict):
    task = ada.create_task(description="Two litres", completed=True)
    changed = ada.put(f"/{task['id']}", {"title": "Buy oats"} | given).json()
    assert changed == task | {"title": "Buy oats", "updated_at": changed["updated_at"]} | given


def test_put_twice_is_put_once(ada: User):
    path, body = f"/{ada.create_task()['id']}", {"title": "Buy oats", "completed": True}
    once, twice = ada.put(path, body).json(), ada.put(path, body).json()
    assert twice == once | {"updated_at": twice["updated_at"]}


def test_updated_at_moves_forward_and_created_at_stays(ada: User):
    task = ada.create_task()
    changed = ada.put(f"/{task['id']}", {"title": "Buy oats"}).json()
    assert changed["updated_at"] > task["updated_at"]
    assert changed["created_at"] == task["created_at"]


def test_client_cannot_set_id_owner_or_times(ada: User, bob: User):
    task = ada.create_task()
    past = "1970-01-01T00:00:00Z"
    sent = {"id": 999_999, "user_id": bob.id, "created_at": past, "updated_at": past}
    changed = ada.put(f"/{task['id']}", {"title": "Buy oats"} | sent).json()
    assert changed == task | {"title": "Buy oats", "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > task["updated_at"]
    assert bob.get().json() == []


@pytest.mark.parametrize(
    ("body", "pointer", "keyword"),
    [
        ({}, "/title", "required"),
        ({"description": "One bag", "completed": True}, "/title", "required"),
        ({"title": None}, "/title", "type"),
        ({"title": "Buy oats", "completed": None}, "/completed", "type"),
        ({"title": "Buy oats", "description": "x" * 2001}, "/description", "maxLength"),
    ],
)
def test_what_breaks_the_contract_is_400_and_changes_nothing(
    ada: User, body: dict, pointer: str, keyword: str
):
    task = ada.create_task()
    answer = ada.put(f"/{task['id']}", body)
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"in": "body", "pointer": pointer, "keyword": keyword}]
    assert ada.get(f"/{task['id']}").json() == task


def test_put_makes_no_task(ada: User):
    assert ada.put(f"/{MISSING}", {"title": "Buy oats"}).status_code == 404
    assert ada.get().json() == []


def test_anothers_task_is_404_and_stays_as_it_was(ada: User, bob: User):
    task = bob.create_task()
    assert ada.put(f"/{task['id']}", {"title": "Buy oats"}).status_code == 404
    assert bob.get(f"/{task['id']}").json() == task
