"""A model of one user's tasks: a dictionary that each operation changes as in the contract."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple


class Disagreement(AssertionError):
    """A response that differs from the model."""


class Query(NamedTuple):
    """Which page of which list. `after` is the last task of the page before, as it was there."""

    status: str = "all"
    sort: str = "created"
    order: str | None = None
    limit: int = 1000
    after: dict[str, Any] | None = None
    link: str | None = None


EVERYTHING = Query()


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A request. `is_own` is whether the path is the sender's; `tags` are those of If-(None-)Match."""

    kind: str
    is_own: bool = True
    task_id: int = 0
    body: Any = None
    tags: str | None = None
    key: str | None = None
    query: Query = EVERYTHING


class Answer(NamedTuple):
    """A response."""

    status: int
    body: Any
    etag: str | None
    location: str | None
    next_link: str | None
    took_s: float


class Task(NamedTuple):
    """A task. The server sets the id and the times."""

    shown: dict[str, Any]

    @property
    def version(self) -> int:
        return int(self.shown["version"])

    @property
    def etag(self) -> str:
        return f'"{self.version}"'


FIELDS = ("title", "description", "completed")
COLUMNS = {"created": "created_at", "updated": "updated_at", "title": "title"}


@dataclass
class Model:
    """The tasks of `user_id`, the first response to each key, and all used ids."""

    user_id: str
    tasks: dict[int, Task] = field(default_factory=dict)
    keys: dict[str, tuple[Any, Answer]] = field(default_factory=dict)
    ids: list[int] = field(default_factory=list)

    def copy(self) -> "Model":
        return replace(self, tasks={**self.tasks}, keys={**self.keys}, ids=[*self.ids])

    def take(self, operation: Operation, answer: Answer) -> None:
        """Apply the operation. Raise Disagreement if `answer` differs from the model."""
        if operation.key is not None and answer.status == 409 and answer.took_s > 2:
            return  # the contract allows this response to a key in use
        due = self.refusal(operation)
        if due is None:
            getattr(self, f"_{operation.kind}")(operation, answer)
        else:
            agree("status", answer.status, due)
            if due == 304:
                agree("ETag", answer.etag, self.tasks[operation.task_id].etag)

    def refusal(self, operation: Operation) -> int | None:
        """The status that is due where nothing is done; None where the operation succeeds."""
        if not operation.is_own:
            return 403
        if not is_valid(operation):
            return 400
        if operation.kind in {"create", "list"}:
            known = self.keys.get(operation.key or "")
            return 422 if known and known[0] != operation.body else None
        if operation.task_id not in self.tasks:
            return 404
        is_match = matches(
            operation.tags, self.tasks[operation.task_id].version, weakly=operation.kind == "get"
        )
        if operation.kind == "get":
            return 304 if is_match and operation.tags else None
        return None if is_match else 412

    def _create(self, operation: Operation, answer: Answer) -> None:
        if operation.key in self.keys:
            first = self.keys[operation.key][1]
            return agree("answer", answer._replace(took_s=0), first._replace(took_s=0))
        agree("status", answer.status, 201)
        given = {"description": None, "completed": False} | only_fields(operation.body)
        task_id = answer.body.get("id")
        agree("whether the id was there before", task_id in self.ids, False)
        agree("updated_at", answer.body.get("updated_at"), answer.body.get("created_at"))
        agree("Location", answer.location, f"/api/{self.user_id}/tasks/{task_id}")
        self._write(task_id, Task(with_times_of(answer, self._new(task_id) | given)), answer, 201)
        self.ids.append(task_id)
        if operation.key is not None:
            self.keys[operation.key] = (operation.body, answer)
        return None

    def _new(self, task_id: int) -> dict[str, Any]:
        return {"id": task_id, "user_id": self.user_id, "version": 1}

    def _write(self, task_id: int, task: Task, answer: Answer, status: int) -> None:
        agree("status", answer.status, status)
        agree("task", answer.body, task.shown)
        agree("ETag", answer.etag, task.etag)
        self.tasks[task_id] = task

    def _get(self, operation: Operation, answer: Answer) -> None:
        self._write(operation.task_id, self.tasks[operation.task_id], answer, 200)

    def _put(self, operation: Operation, answer: Answer) -> None:
        before = self.tasks[operation.task_id]
        shown = before.shown | only_fields(operation.body)
        if shown != before.shown:
            shown = with_times_of(answer, shown | {"version": before.version + 1})
        agree("created_at", shown["created_at"], before.shown["created_at"])
        agree("whether time goes back", moment(shown) < moment(before.shown), False)
        self._write(operation.task_id, Task(shown), answer, 200)

    _patch = _put

    def _complete(self, operation: Operation, answer: Answer) -> None:
        toggled = not self.tasks[operation.task_id].shown["completed"]
        completed = (operation.body or {}).get("completed", toggled)
        self._put(replace(operation, body={"completed": completed}), answer)

    def _delete(self, operation: Operation, answer: Answer) -> None:
        agree("status", answer.status, 204)
        del self.tasks[operation.task_id]

    def _list(self, operation: Operation, answer: Answer) -> None:
        agree("status", answer.status, 200)
        page, is_last = self.page(operation.query)
        agree("page", answer.body, page)
        agree("whether there is a next page", answer.next_link is None, is_last)

    def page(self, query: Query) -> tuple[list[dict[str, Any]], bool]:
        """The tasks of one page, and whether it is the last."""
        is_descending = (query.order or ("asc" if query.sort == "title" else "desc")) == "desc"
        found = [
            task.shown
            for task in self.tasks.values()
            if query.status in {"all", "completed" if task.shown["completed"] else "pending"}
            and (query.after is None or is_before(query.after, task.shown, query.sort, is_descending))
        ]
        found.sort(key=lambda task: place(task, query.sort), reverse=is_descending)
        return found[: query.limit], len(found) <= query.limit


def agree(what: str, given: Any, due: Any) -> None:
    if given != due:
        raise Disagreement(f"{what} is {given!r}, not {due!r}")


def with_times_of(answer: Answer, task: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(answer.body, dict) or "updated_at" not in answer.body:
        raise Disagreement(f"no task: {answer}")
    return task | {name: answer.body[name] for name in ("created_at", "updated_at")}


def only_fields(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name in FIELDS}


def moment(task: dict[str, Any], column: str = "updated_at") -> datetime:
    return datetime.fromisoformat(task[column])


def place(task: dict[str, Any], sort: str) -> tuple[Any, int]:
    """Return the sort key of a task. Titles are compared by code point."""
    return (task["title"] if sort == "title" else moment(task, COLUMNS[sort])), task["id"]


def is_before(one: dict[str, Any], other: dict[str, Any], sort: str, is_descending: bool) -> bool:
    here, there = place(one, sort), place(other, sort)
    return here > there if is_descending else here < there


def is_valid(operation: Operation) -> bool:
    """Whether it keeps to the contract, as far as the tests break it: blank titles, no changes, tags."""
    body = operation.body or {}
    is_empty = operation.kind == "patch" and not only_fields(body)
    has_quotes = operation.tags is None or operation.tags == "*" or '"' in operation.tags
    return not is_empty and has_quotes and body.get("title", "-").strip() != ""


def matches(tags: str | None, version: int, *, weakly: bool) -> bool:
    """RFC 9110 8.8.3.2. Without tags there is no condition to fail."""
    if tags is None or tags == "*":
        return True
    listed = [tag.strip() for tag in tags.split(",")]
    return f'"{version}"' in [tag.removeprefix("W/") if weakly else tag for tag in listed]
