"""GET /api/{user_id}/tasks"""

from tests.support.databases import on_sqlite
from tests.support.users import User


def titles(user: User, query: str = "") -> list[str]:
    response = user.request("GET", query)
    assert response.status_code == 200, response.text
    return [task["title"] for task in response.json()]


def test_list_of_a_new_user_is_an_empty_array(ada: User):
    response = ada.get()
    assert (response.status_code, response.json()) == (200, [])
    assert "link" not in response.headers


def test_list_has_the_users_own_tasks_as_get_returns_them(ada: User, bob: User):
    bob.create_task()
    ada.create_task(description="Two litres", completed=True)
    [task] = ada.get().json()
    assert task == ada.get(f"/{task['id']}").json()


def test_status_selects_pending_or_completed_tasks(ada: User):
    ada.create_task("done", completed=True)
    ada.create_task("open")
    assert titles(ada, "") == titles(ada, "?status=all") == ["open", "done"]
    assert titles(ada, "?status=pending") == ["open"]
    assert titles(ada, "?status=completed") == ["done"]


def test_times_are_newest_first_and_titles_a_to_z_unless_order_is_given(ada: User):
    _, b, _ = [ada.create_task(title) for title in "abc"]
    ada.patch(f"/{b['id']}", {"description": "changed last"})
    expected = {
        "": "cba", "?sort=created": "cba", "?sort=created&order=desc": "cba", "?order=asc": "abc",
        "?sort=updated": "bca", "?sort=updated&order=desc": "bca", "?sort=updated&order=asc": "acb",
        "?sort=title": "abc", "?sort=title&order=asc": "abc", "?sort=title&order=desc": "cba",
    }  # fmt: skip
    assert {query: "".join(titles(ada, query)) for query in expected} == expected


def test_titles_are_ordered_by_code_point(ada: User):
    in_order = [" padded", "10", "9", "Zoe", "_", "adam", "ädam", "ﬁ", "\uffff", "🥛"]
    for title in reversed(in_order):
        ada.create_task(title)
    assert titles(ada, "?sort=title") == in_order


def test_limit_is_the_largest_number_of_tasks_in_a_page(ada: User):
    for title in "abc":
        ada.create_task(title)
    assert [len(titles(ada, f"?limit={limit}")) for limit in (1, 2, 1000)] == [1, 2, 3]


@on_sqlite
def test_invalid_query_is_400_with_every_violation(ada: User):
    response = ada.request("GET", "?status=done&limit=0&limit=0&undeclared=1")
    assert response.status_code == 400
    assert {(found["in"], found["pointer"], found["keyword"]) for found in response.json()["errors"]} == {
        ("query", "/status", "enum"), ("query", "/limit", "uniqueItems"),
        ("query", "", "additionalProperties"),
    }  # fmt: skip


def test_head_of_a_list_renders_nothing(ada: User):
    for _ in range(3):
        ada.create_task()
    head = ada.request("HEAD", "?limit=2")
    assert (head.status_code, head.content) == (200, b"")
    assert head.links["next"]["url"].startswith(ada.tasks)
    assert "content-length" not in head.headers  # known only after rendering
