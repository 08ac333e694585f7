"""What everyone who is signed in can do, and what nobody can."""

from tests.support.users import User


def live_through_a_task(person: User) -> None:
    """Every operation on a task, from its creation to its end."""
    task = person.create_task("Buy milk", description="Two litres")
    path = f"/{task['id']}"
    assert task["user_id"] == person.id
    assert person.get().json() == [task]
    assert person.get(path).json() == task
    assert person.put(path, {"title": "Buy oats"}).json()["title"] == "Buy oats"
    assert person.patch(path, {"description": None}).json()["description"] is None
    assert person.complete(task["id"]).json()["completed"] is True
    assert person.delete(path).status_code == 204
    assert person.get().json() == []


def see_nothing_of(owner: User, *, stranger: User) -> None:
    """`stranger` reaches a task of `owner` neither by its path nor by its number."""
    path = f"/{owner.create_task()['id']}"
    on_their_path = User(stranger.http, owner.id, stranger.headers["Authorization"].removeprefix("Bearer "))
    assert [on_their_path.get().status_code, on_their_path.delete(path).status_code] == [403, 403]
    assert [stranger.get(path).status_code, stranger.delete(path).status_code] == [404, 404]
    assert stranger.get().json() == []
    assert owner.get(path).status_code == 200
