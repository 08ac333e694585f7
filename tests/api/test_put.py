"""PUT /api/{user_id}/tasks/{task_id}"""

from tests.support.users import MISSING, User


def test_put_replaces_every_field_in_the_body(ada: User):
    task = ada.create_task(description="Two litres")
    fields = {"title": "Buy oats", "description": "One bag", "completed": True}
    response = ada.put(f"/{task['id']}", fields)
    changed = response.json()
    assert (response.status_code, changed) == (
        200,
        task | fields | {"updated_at": changed["updated_at"], "version": 2},
    )
    assert changed == ada.get(f"/{task['id']}").json()


def test_fields_left_out_keep_their_value(ada: User):
    task = ada.create_task(description="Two litres", completed=True)
    changes = [{}, {"description": "One bag"}, {"description": None}, {"completed": False}]
    for version, fields in enumerate(changes, 2):
        changed = ada.put(f"/{task['id']}", {"title": "Buy oats"} | fields).json()
        task |= {"title": "Buy oats", "updated_at": changed["updated_at"], "version": version} | fields
        assert changed == task


def test_put_sent_twice_has_the_effect_of_one(ada: User):
    path, body = f"/{ada.create_task()['id']}", {"title": "Buy oats", "completed": True}
    assert ada.put(path, body).json() == ada.put(path, body).json()


def test_client_cannot_set_id_owner_or_times(ada: User, bob: User):
    task, past = ada.create_task(), "1970-01-01T00:00:00Z"
    sent = {"id": 999_999, "user_id": bob.id, "created_at": past, "updated_at": past, "version": 7}
    changed = ada.put(f"/{task['id']}", {"title": "Buy oats"} | sent).json()
    assert changed == task | {"title": "Buy oats", "updated_at": changed["updated_at"], "version": 2}
    assert changed["updated_at"] > task["updated_at"]
    assert bob.get().json() == []


def test_put_of_a_missing_task_is_404_and_creates_none(ada: User):
    assert ada.put(f"/{MISSING}", {"title": "Buy oats"}).status_code == 404
    assert ada.get().json() == []
