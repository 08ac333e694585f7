"""The operations that every user can do on own tasks and no other user can."""

from tests.support.users import User


def check_life_of_a_task(user: User) -> None:
    """Use every operation on a task, from creation to deletion."""
    task = user.create_task("Buy milk", description="Two litres")
    path = f"/{task['id']}"
    assert task["user_id"] == user.id
    assert user.get().json() == [task]
    assert user.get(path).json() == task
    assert user.put(path, {"title": "Buy oats"}).json()["title"] == "Buy oats"
    assert user.patch(path, {"description": None}).json()["description"] is None
    assert user.complete(task["id"]).json()["completed"] is True
    assert user.delete(path).status_code == 204
    assert user.get().json() == []


def check_isolation(owner: User, *, other: User) -> None:
    """Fail unless a task of `owner` is out of reach of `other`, by the owner's path and by its id."""
    path = f"/{owner.create_task()['id']}"
    on_owners_path = User(other.http, owner.id, other.token)
    assert [on_owners_path.get().status_code, on_owners_path.delete(path).status_code] == [403, 403]
    assert [other.get(path).status_code, other.delete(path).status_code] == [404, 404]
    assert other.get().json() == []
    assert owner.get(path).status_code == 200
