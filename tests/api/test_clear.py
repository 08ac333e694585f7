"""DELETE /api/{user_id}/tasks?status=completed|all"""

from concurrent.futures import ThreadPoolExecutor

import httpx

from persistence import removals
from tests.support.databases import on_sqlite
from tests.support.rows import copy_task, count_rows
from tests.support.server import Server
from tests.support.users import User


def clear(user: User, status: str) -> httpx.Response:
    return user.request("DELETE", f"?status={status}")


def test_completed_tasks_are_deleted_and_the_others_stay(ada: User, bob: User):
    for user in (ada, bob):
        for title, completed in (("a", True), ("b", False), ("c", True)):
            user.create_task(title, completed=completed)
    response = clear(ada, "completed")
    assert (response.status_code, response.json()) == (200, {"deleted": 2})
    assert ada.titles() == ["b"]
    assert clear(ada, "completed").json() == {"deleted": 0}
    assert len(bob.titles()) == 3


def test_all_deletes_every_task_and_stored_response(secret_server: Server, ada: User, bob: User):
    for user in (ada, bob):
        assert user.post_with_key("k").status_code == 201
        user.create_task()
    assert clear(ada, "completed").json() == {"deleted": 0}
    assert count_rows(secret_server, ada.id)["idempotency_keys"] == 1
    assert clear(ada, "all").json() == {"deleted": 2}
    assert count_rows(secret_server, ada.id) == {"tasks": 0, "idempotency_keys": 0, "users": 1}
    assert ada.post_with_key("k").status_code == 201
    assert count_rows(secret_server, bob.id) == {"tasks": 2, "idempotency_keys": 1, "users": 1}


@on_sqlite
def test_without_a_status_nothing_is_deleted(ada: User):
    ada.create_task(completed=True)
    for query in ("", "?status=", "?status=pending", "?status=all&status=all", "?status=ALL", "?all"):
        response = ada.request("DELETE", query)
        assert response.status_code == 400, query
    assert len(ada.titles()) == 1


def test_more_than_a_batch_is_deleted(secret_server: Server, ada: User):
    ada.create_task()
    copy_task(secret_server, ada.id, 2 * removals.BATCH_SIZE)
    assert clear(ada, "all").json() == {"deleted": 2 * removals.BATCH_SIZE + 1}
    assert ada.titles() == []


def test_concurrent_deletions_leave_nothing_and_count_each_task_once(secret_server: Server, ada: User):
    ada.create_task()
    copy_task(secret_server, ada.id, 3 * removals.BATCH_SIZE)
    with ThreadPoolExecutor(3) as threads:
        responses = [*threads.map(lambda _: clear(ada, "all"), range(3))]
    assert {response.status_code for response in responses} == {200}
    assert sum(response.json()["deleted"] for response in responses) == 3 * removals.BATCH_SIZE + 1
    assert ada.titles() == []
