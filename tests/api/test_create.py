"""POST /api/{user_id}/tasks"""

import json

import pytest

from tests.support.users import User


def test_created_task_is_given_back_whole(ada: User):
    answer = ada.post({"title": "Buy milk", "description": "Two litres"})
    task = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{ada.tasks}/{task['id']}"
    assert task == ada.get(f"/{task['id']}").json()
    assert (task["title"], task["description"], task["completed"]) == ("Buy milk", "Two litres", False)
    assert task["user_id"] == ada.id
    assert task["created_at"] == task["updated_at"]
    assert task["created_at"].endswith("Z")


def test_location_can_be_followed(ada: User):
    answer = ada.post({"title": "Buy milk"})
    assert ada.http.get(answer.headers["location"], headers=ada.headers).json() == answer.json()


def test_task_may_be_created_completed(ada: User):
    assert ada.create_task(completed=True)["completed"] is True


@pytest.mark.parametrize(
    "title", ["x", "é" * 200, "🥛" * 200, "  padded  ", "two\nlines", "\u202eright to left"]
)
def test_title_is_stored_as_sent(ada: User, title: str):
    task = ada.create_task(title)
    assert ada.get(f"/{task['id']}").json()["title"] == title


@pytest.mark.parametrize("description", [None, "", "x" * 2000, "line\nline\ttab"])
def test_description_is_stored_as_sent(ada: User, description: str | None):
    task = ada.create_task(description=description)
    assert ada.get(f"/{task['id']}").json()["description"] == description


def test_client_cannot_set_id_owner_or_times(ada: User, bob: User):
    sent = {
        "id": 999_999,
        "user_id": bob.id,
        "created_at": "1970-01-01T00:00:00Z",
        "updated_at": "x",
        "priority": 1,
    }
    task = ada.create_task(**sent)
    assert task["id"] != 999_999
    assert task["user_id"] == ada.id
    assert task["created_at"] > "2026"
    assert "priority" not in task
    assert bob.get().json() == []


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({}, {("/title", "required")}),
        ({"title": ""}, {("/title", "minLength"), ("/title", "pattern")}),
        ({"title": " \t\u3000\n"}, {("/title", "pattern")}),
        ({"title": "x" * 201}, {("/title", "maxLength")}),
        ({"title": 1}, {("/title", "type")}),
        ({"title": None}, {("/title", "type")}),
        ({"title": "x", "completed": "yes"}, {("/completed", "type")}),
        ({"title": "x", "completed": None}, {("/completed", "type")}),
        ({"title": "x", "description": "x" * 2001}, {("/description", "maxLength")}),
        ({"title": "", "description": 7, "completed": 1}, {
            ("/title", "minLength"), ("/title", "pattern"), ("/description", "type"), ("/completed", "type"),
        }),
        ([], {("", "type")}),
        (None, {("", "type")}),
        ("title", {("", "type")}),
    ],
)  # fmt: skip
def test_every_fault_is_named_at_once(ada: User, body: object, faults: set[tuple[str, str]]):
    answer = ada.request("POST", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert {(fault["pointer"], fault["keyword"]) for fault in answer.json()["errors"]} == faults
    assert ada.get().json() == []
