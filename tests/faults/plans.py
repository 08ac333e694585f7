"""The random operations of the model-based tests."""

from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.faults.model import EVERYTHING, Query

NOTHING = st.none()
CONDITIONS = [*["none", "current"] * 6, *["stale", "any", "list"] * 2, "weak", "foreign", "malformed"]

# Capitals, accents, a character above the surrogates and one that is written with two: any other order shows.
titles = st.sampled_from(
    ["Buy milk", "buy milk", "Éclairs", "Zwieback", "\uff42read", "🥛", "Buy", "Buy milk\n", " "]
)
optional = {
    "description": st.sampled_from([None, "", "Two litres", "Zwei\nLiter"]),
    "completed": st.booleans(),
    "user_id": st.just("mallory"),
}
new_tasks = st.fixed_dictionaries({"title": titles}, optional=optional)
changes = st.one_of(new_tasks, st.fixed_dictionaries({}, optional={"title": titles, **optional}))
completions = st.sampled_from([None, {}, {"completed": True}, {"completed": False}])
queries = st.builds(
    Query,
    status=st.sampled_from(["all", "pending", "completed"]),
    sort=st.sampled_from(["created", "updated", "title"]),
    order=st.sampled_from([None, "asc", "desc"]),
    limit=st.integers(1, 4),
    after=NOTHING,
    link=NOTHING,
)


class Plan(NamedTuple):
    """An operation before it is known which tasks there are: the `which`-th of the owner, or of anyone."""

    who: int
    kind: str
    whose: str = "own"
    which: int = 0
    body: Any = None
    condition: str = "none"
    key: str | None = None
    query: Query = EVERYTHING


def plans(kind: str, body: st.SearchStrategy[Any] = NOTHING) -> st.SearchStrategy[Plan]:
    """Of one kind; half of them on the newest tasks of their owner, which makes them meet."""
    return st.builds(
        Plan,
        who=st.integers(0, 1),
        kind=st.just(kind),
        whose=st.sampled_from(["own"] * 16 + ["anyone's"] * 3 + ["other's path"]),
        which=st.integers(0, 3),
        body=body,
        condition=st.sampled_from(CONDITIONS) if kind not in {"create", "list"} else st.just("none"),
        key=NOTHING,
        query=st.just(EVERYTHING),
    )


plain = plans("create", new_tasks)
keyed = st.builds(Plan._replace, plain, key=st.sampled_from(["one", "two", "three"]))
reads, deletions = plans("get"), plans("delete")
writes = st.one_of(plans("put", new_tasks), plans("patch", changes))
toggles = plans("complete", completions)
lists = st.builds(Plan._replace, plans("list"), query=queries)
several = st.lists(
    st.one_of(plain, keyed, keyed, reads, writes, deletions, toggles, lists), min_size=2, max_size=4
)
repeated = st.one_of(toggles, writes, deletions, keyed).flatmap(
    lambda plan: st.integers(2, 4).map(lambda number: [plan] * number)
)
batches = st.one_of(several, repeated)
