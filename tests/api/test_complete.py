"""PATCH /api/{user_id}/tasks/{task_id}/complete"""

from tests.support.users import MISSING, User


def test_complete_without_completed_toggles(ada: User):
    task = ada.create_task(description="Two litres")
    null = {"content": "null", "headers": {"Content-Type": "application/json"}}
    for options in ({}, {"json": {}}, {"json": {"done": True}}, null):
        for completed in (True, False):
            response = ada.complete(task["id"], **options)
            updated_at, version = response.json()["updated_at"], task["version"] + 1
            task |= {"completed": completed, "updated_at": updated_at, "version": version}
            assert (response.status_code, response.json()) == (200, task)
            assert ada.get(f"/{task['id']}").json() == task


def test_complete_with_a_body_sets_completed_and_can_be_repeated(ada: User):
    task = ada.create_task()
    for completed in (True, True, False, False):
        response = ada.complete(task["id"], json={"completed": completed})
        assert response.json()["completed"] is completed
        assert ada.get(f"/{task['id']}").json() == response.json()


def test_updated_at_increases_and_created_at_stays(ada: User):
    task = ada.create_task()
    changed = ada.complete(task["id"]).json()
    assert changed["updated_at"] > task["updated_at"]
    assert changed["created_at"] == task["created_at"]


def test_complete_of_a_missing_task_is_404(ada: User):
    assert ada.complete(MISSING).status_code == 404
