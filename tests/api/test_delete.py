"""DELETE /api/{user_id}/tasks/{task_id}"""

from tests.support.users import MISSING, User


def test_deleting_is_204_without_a_body(ada: User):
    answer = ada.delete(f"/{ada.create_task()['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers


def test_deleted_task_is_gone_and_the_others_stay(ada: User):
    stays, goes = ada.create_task("Buy milk"), ada.create_task("Buy oats")
    ada.delete(f"/{goes['id']}")
    assert ada.get(f"/{goes['id']}").status_code == 404
    assert ada.get().json() == [stays]


def test_deleting_twice_is_404(ada: User):
    path = f"/{ada.create_task()['id']}"
    assert [ada.delete(path).status_code for _ in range(2)] == [204, 404]


def test_id_of_a_deleted_task_is_never_given_again(ada: User):
    task = ada.create_task()
    ada.delete(f"/{task['id']}")
    assert ada.create_task()["id"] > task["id"]


def test_missing_task_is_404(ada: User):
    assert ada.delete(f"/{MISSING}").status_code == 404


def test_anothers_task_is_404_and_stays(ada: User, bob: User):
    task = bob.create_task()
    assert ada.delete(f"/{task['id']}").status_code == 404
    assert bob.get(f"/{task['id']}").json() == task
