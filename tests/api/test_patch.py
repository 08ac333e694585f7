"""PATCH /api/{user_id}/tasks/{task_id}"""

from typing import Any

from tests.support.users import MISSING, User

CHANGES: list[dict[str, Any]] = [
    {"title": "Buy oats"},
    {"description": "One bag"},
    {"description": ""},
    {"description": None},
    {"completed": False},
    {"title": "Buy bread", "description": None, "completed": True},
]


def test_patch_changes_only_the_fields_in_the_body(ada: User):
    task = ada.create_task(description="Two litres", completed=True)
    for version, changes in enumerate(CHANGES, 2):
        response = ada.patch(f"/{task['id']}", changes)
        task |= {"updated_at": response.json()["updated_at"], "version": version} | changes
        assert (response.status_code, response.json()) == (200, task)
        assert ada.get(f"/{task['id']}").json() == task


def test_client_cannot_set_id_owner_or_times(ada: User, bob: User):
    task, past = ada.create_task(), "1970-01-01T00:00:00Z"
    sent = {"id": 999_999, "user_id": bob.id, "created_at": past, "updated_at": past, "version": 7}
    changed = ada.patch(f"/{task['id']}", {"completed": True} | sent).json()
    assert changed == task | {"completed": True, "updated_at": changed["updated_at"], "version": 2}
    assert changed["updated_at"] > task["updated_at"]
    assert bob.get().json() == []


def test_patch_of_a_missing_task_is_404(ada: User):
    assert ada.patch(f"/{MISSING}", {"title": "Buy oats"}).status_code == 404
