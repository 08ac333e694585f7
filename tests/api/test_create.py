"""POST /api/{user_id}/tasks"""

from datetime import UTC, datetime, timedelta

from tests.support.databases import on_sqlite
from tests.support.users import User

TITLES = [
    "x",
    "é" * 200,
    "🥛" * 200,
    "  padded  ",
    "two\nlines",
    "\u202eright to left",
    '\\ud83d " \\',
    "[[[{{{",
    "9" * 200,
]
DESCRIPTIONS = [None, "", "x" * 2000, "line\nline\ttab"]


def test_create_returns_the_task_as_it_is_stored(ada: User):
    response = ada.post({"title": "Buy milk", "description": "Two litres"})
    assert response.status_code == 201
    task = response.json()
    times = {"created_at": task["created_at"], "updated_at": task["created_at"]}
    fields = {"title": "Buy milk", "description": "Two litres", "completed": False}
    assert task == {"id": task["id"], "user_id": ada.id, "version": 1} | fields | times
    assert task == ada.get(f"/{task['id']}").json()


def test_create_sets_the_time_of_creation_in_utc(ada: User):
    task = ada.create_task()
    assert task["created_at"].endswith("Z")
    assert abs(datetime.fromisoformat(task["created_at"]) - datetime.now(UTC)) < timedelta(minutes=1)


def test_location_is_the_path_of_the_new_task(ada: User):
    response = ada.post({"title": "Buy milk"})
    assert response.headers["location"] == f"{ada.tasks}/{response.json()['id']}"
    assert ada.http.get(response.headers["location"], headers=ada.headers).json() == response.json()


def test_task_may_be_created_completed(ada: User):
    assert ada.create_task(completed=True)["completed"] is True


def test_title_and_description_are_stored_as_sent(ada: User):
    for title in TITLES:
        assert ada.get(f"/{ada.create_task(title)['id']}").json()["title"] == title
    for description in DESCRIPTIONS:
        task = ada.create_task(description=description)
        assert ada.get(f"/{task['id']}").json()["description"] == description


def test_client_cannot_set_id_owner_or_times(ada: User, bob: User):
    past = "1970-01-01T00:00:00Z"
    sent = {
        "id": 999_999,
        "user_id": bob.id,
        "created_at": past,
        "updated_at": "x",
        "version": 7,
        "priority": 1,
    }
    task = ada.create_task(**sent)
    assert task["id"] != 999_999
    assert task["user_id"] == ada.id
    assert task["created_at"] == task["updated_at"] > "2026"
    assert task["version"] == 1
    assert "priority" not in task
    assert bob.get().json() == []


@on_sqlite
def test_invalid_body_is_400_with_every_violation(ada: User):
    response = ada.post({"title": "", "description": 7, "completed": 1})
    assert response.status_code == 400
    assert {(found["in"], found["pointer"], found["keyword"]) for found in response.json()["errors"]} == {
        ("body", "/title", "minLength"), ("body", "/description", "type"), ("body", "/completed", "type"),
    }  # fmt: skip
    assert ada.get().json() == []
