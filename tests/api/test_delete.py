"""DELETE /api/{user_id}/tasks/{task_id}"""

from tests.support.users import User


def test_delete_is_204_without_a_body(ada: User):
    response = ada.delete(f"/{ada.create_task()['id']}")
    assert (response.status_code, response.content) == (204, b"")


def test_deleted_task_is_404_and_the_others_stay(ada: User):
    kept, deleted = ada.create_task("Buy milk"), ada.create_task("Buy oats")
    path = f"/{deleted['id']}"
    assert ada.delete(path).status_code == 204
    assert [ada.get(path).status_code, ada.delete(path).status_code] == [404, 404]
    assert ada.get().json() == [kept]


def test_id_of_a_deleted_task_is_never_used_again(ada: User):
    task = ada.create_task()
    ada.delete(f"/{task['id']}")
    assert ada.create_task()["id"] > task["id"]
