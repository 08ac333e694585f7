"""GET /api/{user_id}/tasks/{task_id}"""

from tests.support.users import MISSING, User


def test_get_returns_the_task_as_it_was_created(ada: User):
    task = ada.create_task(description="Two litres", completed=True)
    response = ada.get(f"/{task['id']}")
    assert (response.status_code, response.json()) == (200, task)


def test_get_of_a_missing_task_is_404(ada: User):
    assert ada.get(f"/{MISSING}").status_code == 404


def test_head_returns_the_headers_of_get_without_the_body(ada: User):
    path = f"/{ada.create_task()['id']}"
    head, get = ada.request("HEAD", path), ada.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(get.content)
    assert head.headers["etag"] == get.headers["etag"]
