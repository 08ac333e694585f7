"""GET /api/{user_id}/tasks"""

import pytest

from tests.support.users import User


def titles(person: User, query: str = "") -> list[str]:
    answer = person.request("GET", query)
    assert answer.status_code == 200, answer.text
    return [task["title"] for task in answer.json()]


def test_whoever_has_no_tasks_gets_an_empty_array(ada: User):
    answer = ada.get()
    assert (answer.status_code, answer.json()) == (200, [])
    assert "link" not in answer.headers


def test_list_holds_tasks_as_they_are_given_one_by_one(ada: User):
    ada.create_task(description="Two litres", completed=True)
    [task] = ada.get().json()
    assert task == ada.get(f"/{task['id']}").json()


def test_list_holds_nobody_elses(ada: User, bob: User):
    bob.create_task()
    assert titles(ada) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [("", ["open", "done"]), ("?status=all", ["open", "done"]),
     ("?status=pending", ["open"]), ("?status=completed", ["done"])],
)  # fmt: skip
def test_status_chooses(ada: User, query: str, expected: list[str]):
    ada.create_task("done", completed=True)
    ada.create_task("open")
    assert titles(ada, query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "cba"), ("?sort=created", "cba"), ("?sort=created&order=desc", "cba"), ("?order=asc", "abc"),
        ("?sort=updated", "bca"), ("?sort=updated&order=desc", "bca"), ("?sort=updated&order=asc", "acb"),
        ("?sort=title", "abc"), ("?sort=title&order=asc", "abc"), ("?sort=title&order=desc", "cba"),
    ],
)  # fmt: skip
def test_times_are_newest_first_and_titles_a_to_z_unless_told(ada: User, query: str, expected: str):
    _, b, _ = [ada.create_task(title) for title in "abc"]
    ada.patch(f"/{b['id']}", {"description": "changed last"})
    assert "".join(titles(ada, query)) == expected


def test_titles_are_ordered_by_code_point(ada: User):
    in_order = [" padded", "10", "9", "Zoe", "_", "adam", "ädam", "ﬁ", "\uffff", "🥛"]
    for title in reversed(in_order):
        ada.create_task(title)
    assert titles(ada, "?sort=title") == in_order


@pytest.mark.parametrize(("query", "expected"), [("?limit=1", 1), ("?limit=2", 2), ("?limit=1000", 3)])
def test_limit_is_the_most_a_page_holds(ada: User, query: str, expected: int):
    for title in "abc":
        ada.create_task(title)
    assert len(titles(ada, query)) == expected


@pytest.mark.parametrize(
    ("query", "pointer", "keyword"),
    [
        ("limit=0", "/limit", "minimum"),
        ("limit=-1", "/limit", "minimum"),
        ("limit=1001", "/limit", "maximum"),
        ("limit=9999999999999999999", "/limit", "maximum"),
        pytest.param("limit=" + "9" * 5000, "/limit", "type", id="limit of 5000 digits"),
        ("limit=+5", "/limit", "type"),
        ("limit=%2B5", "/limit", "type"),
        ("limit=1_0", "/limit", "type"),
        ("limit=%205%20", "/limit", "type"),
        ("limit=5%0A", "/limit", "type"),
        ("limit=%EF%BC%95", "/limit", "type"),
        ("limit=%D9%A5", "/limit", "type"),
        ("limit=05", "/limit", "type"),
        ("limit=5.0", "/limit", "type"),
        ("limit=5e0", "/limit", "type"),
        ("limit=0x5", "/limit", "type"),
        ("limit=null", "/limit", "type"),
        ("limit=", "/limit", "type"),
        ("limit", "/limit", "type"),
        ("limit=5&limit=5", "/limit", "uniqueItems"),
        ("status=done", "/status", "enum"),
        ("status=PENDING", "/status", "enum"),
        ("status=pending,completed", "/status", "enum"),
        ("status=all%00", "/status", "enum"),
        ("status=", "/status", "enum"),
        ("status=pending&status=pending", "/status", "uniqueItems"),
        ("sort=id", "/sort", "enum"),
        ("sort=-created", "/sort", "enum"),
        ("sort=title&sort=title", "/sort", "uniqueItems"),
        ("order=up", "/order", "enum"),
        ("order=asc&order=asc", "/order", "uniqueItems"),
        ("cursor=a%0A", "/cursor", "pattern"),
        ("cursor=a%20b", "/cursor", "pattern"),
        pytest.param("cursor=" + "a" * 2049, "/cursor", "maxLength", id="cursor of 2049 characters"),
        ("undeclared=1", "", "additionalProperties"),
        ("Limit=5", "", "additionalProperties"),
        ("user_id=bob", "", "additionalProperties"),
        ("=5", "", "additionalProperties"),
        ("limit=%FF", "", "encoding"),
    ],
)
def test_query_that_breaks_the_contract_is_400(ada: User, query: str, pointer: str, keyword: str):
    answer = ada.request("GET", f"?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"in": "query", "pointer": pointer, "keyword": keyword}]


def test_every_fault_of_a_query_is_named_at_once(ada: User):
    answer = ada.request("GET", "?status=done&sort=id&order=up&limit=0&limit=0")
    faults = {(fault["pointer"], fault["keyword"]) for fault in answer.json()["errors"]}
    assert faults == {
        ("/status", "enum"), ("/sort", "enum"), ("/order", "enum"),
        ("/limit", "minimum"), ("/limit", "uniqueItems"),
    }  # fmt: skip
