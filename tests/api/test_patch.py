"""PATCH /api/{user_id}/tasks/{task_id}"""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.users import MISSING, User


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "Buy oats"},
        {"description": "One bag"},
        {"description": ""},
        {"description": None},
        {"completed": False},
        {"title": "Buy oats", "description": None, "completed": False},
    ],
)
def test_only_what_is_named_changes(ada: User, changes: dict):
    task = ada.create_task(description="Two litres", completed=True)
    answer = ada.patch(f"/{task['id']}", changes)
    assert answer.status_code == 200
    assert answer.json() == task | {"updated_at": answer.json()["updated_at"]} | changes
    assert answer.json() == ada.get(f"/{task['id']}").json()


def test_updated_at_moves_forward_and_created_at_stays(ada: User):
    task = ada.create_task()
    changed = ada.patch(f"/{task['id']}", {"title": "Buy oats"}).json()
    assert changed["updated_at"] > task["updated_at"]
    assert changed["created_at"] == task["created_at"]


def test_client_cannot_set_id_owner_or_times(ada: User, bob: User):
    task = ada.create_task()
    past = "1970-01-01T00:00:00Z"
    sent = {"id": 999_999, "user_id": bob.id, "created_at": past, "updated_at": past}
    changed = ada.patch(f"/{task['id']}", {"completed": True} | sent).json()
    assert changed == task | {"completed": True, "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > task["updated_at"]
    assert bob.get().json() == []


@pytest.mark.parametrize(
    ("body", "pointer", "keyword"),
    [
        ({}, "", "anyOf"),
        ({"user_id": "bob", "priority": 1}, "", "anyOf"),
        ([], "", "type"),
        ({"title": None}, "/title", "type"),
        ({"title": "\u00a0\t"}, "/title", "pattern"),
        ({"completed": None}, "/completed", "type"),
        ({"title": "Buy oats", "description": 7}, "/description", "type"),
    ],
)
def test_what_breaks_the_contract_is_400_and_changes_nothing(
    ada: User, body: object, pointer: str, keyword: str
):
    task = ada.create_task()
    answer = ada.patch(f"/{task['id']}", body)
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"in": "body", "pointer": pointer, "keyword": keyword}]
    assert ada.get(f"/{task['id']}").json() == task


def test_patches_at_once_do_not_undo_each_other(ada: User):
    changes = [{"title": "Buy oats"}, {"description": "One bag"}, {"completed": True}]
    tasks = [ada.create_task() for _ in range(5)]
    work = [(f"/{task['id']}", change) for task in tasks for change in changes]
    with ThreadPoolExecutor(len(work)) as threads:
        answers = [*threads.map(lambda each: ada.patch(*each).status_code, work)]
    assert answers == [200] * len(work)
    for task in ada.get().json():
        assert (task["title"], task["description"], task["completed"]) == ("Buy oats", "One bag", True)


def test_missing_task_is_404(ada: User):
    assert ada.patch(f"/{MISSING}", {"title": "Buy oats"}).status_code == 404


def test_anothers_task_is_404_and_stays_as_it_was(ada: User, bob: User):
    task = bob.create_task()
    assert ada.patch(f"/{task['id']}", {"title": "Buy oats"}).status_code == 404
    assert bob.get(f"/{task['id']}").json() == task
