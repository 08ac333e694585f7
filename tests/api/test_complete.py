"""PATCH /api/{user_id}/tasks/{task_id}/complete"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.users import MISSING, User


@pytest.mark.parametrize("options", [{}, {"json": {}}, {"json": {"done": True}}])
@pytest.mark.parametrize("before", [False, True])
def test_without_completed_it_toggles(ada: User, options: dict, before: bool):
    task = ada.create_task(description="Two litres", completed=before)
    answer = ada.complete(task["id"], **options)
    assert answer.status_code == 200
    assert answer.json() == task | {"completed": not before, "updated_at": answer.json()["updated_at"]}
    assert answer.json() == ada.get(f"/{task['id']}").json()


@pytest.mark.parametrize("completed", [True, False])
def test_with_completed_it_sets_however_often(ada: User, completed: bool):
    task = ada.create_task(completed=not completed)
    answers = [ada.complete(task["id"], json={"completed": completed}).json() for _ in range(2)]
    assert [answer["completed"] for answer in answers] == [completed, completed]
    assert ada.get(f"/{task['id']}").json() == answers[-1]


def test_toggles_at_once_add_up(ada: User):
    task = ada.create_task(completed=False)
    with ThreadPoolExecutor(15) as threads:
        seen = Counter(
            threads.map(lambda _: ada.complete(task["id"]).json()["completed"], range(15)),
        )
    assert seen == {True: 8, False: 7}
    assert ada.get(f"/{task['id']}").json()["completed"] is True


def test_updated_at_moves_forward_and_created_at_stays(ada: User):
    task = ada.create_task()
    changed = ada.complete(task["id"]).json()
    assert changed["updated_at"] > task["updated_at"]
    assert changed["created_at"] == task["created_at"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({"completed": None}, "/completed"), ({"completed": "true"}, "/completed"), ([], ""), (True, "")],
)
def test_what_breaks_the_contract_is_400_and_changes_nothing(ada: User, body: object, pointer: str):
    task = ada.create_task()
    answer = ada.complete(task["id"], json=body)
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"in": "body", "pointer": pointer, "keyword": "type"}]
    assert ada.get(f"/{task['id']}").json() == task


def test_missing_task_is_404(ada: User):
    assert ada.complete(MISSING).status_code == 404


@pytest.mark.parametrize("spelling", ["+{}", "0{}", "{}%0A"])
def test_id_has_one_spelling(ada: User, spelling: str):
    task = ada.create_task()
    path = f"/{spelling.format(task['id'])}/complete"
    assert ada.request("PATCH", path).status_code == 404
    assert ada.get(f"/{task['id']}").json() == task


def test_anothers_task_is_404_and_stays_as_it_was(ada: User, bob: User):
    task = bob.create_task()
    assert ada.complete(task["id"]).status_code == 404
    assert bob.get(f"/{task['id']}").json() == task
