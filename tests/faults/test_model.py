"""Random operations of two users, sequential and concurrent: each response equals that of the model."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import permutations
from pathlib import Path
from threading import Barrier

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.faults.model import Answer, Disagreement, Model, Operation
from tests.faults.plans import Plan, batches, deletions, keyed, lists, plain, reads, toggles, writes
from tests.support.contract_checks import open_client
from tests.support.server import run_server
from tests.support.users import MISSING, SECRET, User, new_user

PATHS = {"create": "POST", "list": "GET", "get": "GET", "put": "PUT", "patch": "PATCH", "delete": "DELETE"}


class Household:
    """Two new users with three tasks each, and their models."""

    def __init__(self, http: httpx.Client) -> None:
        self.people = [new_user(http, name) for name in ("ada", "bob")]
        self.models = [Model(person.id) for person in self.people]
        for number in range(6):
            body = {"title": f"Buy {number // 2}", "description": f"{number} litres", "completed": number > 3}
            self.do(number % 2, Operation(kind="create", body=body))

    def operation(self, plan: Plan) -> Operation:
        """The plan, with the ids and the tags that there are now."""
        task_id = self._task_id(plan)
        return Operation(
            kind=plan.kind,
            is_own=plan.whose != "other's path",
            task_id=task_id,
            body=plan.body,
            tags=self._tags(plan, task_id),
            key=plan.key,
            query=plan.query,
        )

    def _task_id(self, plan: Plan) -> int:
        live = [*self.models[plan.who].tasks][::-1]
        if plan.whose == "own" and live:
            return live[plan.which % len(live)]
        anyones = [MISSING, *sorted(self.models[0].ids + self.models[1].ids)]
        return anyones[-plan.which % len(anyones)]

    def _tags(self, plan: Plan, task_id: int) -> str | None:
        task = self.models[plan.who].tasks.get(task_id)
        version = task.version if task else 1
        return {
            "none": None,
            "current": f'"{version}"',
            "stale": f'"{version - 1}"',
            "any": "*",
            "list": f'"abc", "{version}"',
            "weak": f'W/"{version}"',
            "foreign": '"abc"',
            "malformed": f"{version}",
        }[plan.condition]

    def do(self, who: int, operation: Operation) -> Answer:
        """Send the operation and compare the response with the model."""
        answer = self.send(who, operation)
        self.models[who].take(operation, answer)
        return answer

    def send(self, who: int, operation: Operation) -> Answer:
        return send(self.people[who], self.people[1 - who], operation)


def send(sender: User, other: User, operation: Operation) -> Answer:
    path = (sender if operation.is_own else other).tasks
    query = operation.query
    if operation.kind == "list":
        parameters = query._replace(after=None, link=None)._asdict()
        path = query.link or f"{path}?{httpx.QueryParams({k: v for k, v in parameters.items() if v})}"
    elif operation.kind != "create":
        path += f"/{operation.task_id}"
    headers = {
        "If-None-Match" if operation.kind == "get" else "If-Match": operation.tags,
        "Idempotency-Key": operation.key,
    }
    answer = sender.http.request(
        PATHS.get(operation.kind, "PATCH"),
        path + ("/complete" if operation.kind == "complete" else ""),
        json=operation.body,
        headers=sender.headers | {name: value for name, value in headers.items() if value is not None},
    )
    return Answer(
        status=answer.status_code,
        body=answer.json() if answer.content else None,
        etag=answer.headers.get("etag"),
        location=answer.headers.get("location"),
        next_link=answer.links.get("next", {}).get("url"),
        took_s=answer.elapsed.total_seconds(),
    )


class OneByOne(RuleBasedStateMachine):
    """Compare the response to each operation with the model."""

    def __init__(self, http: httpx.Client) -> None:
        super().__init__()
        self.household = Household(http)
        self.pages: list[tuple[int, Operation]] = []
        self.sent: list[tuple[int, Operation]] = []

    def do(self, plan: Plan) -> None:
        self.household.do(plan.who, self.household.operation(plan))

    @rule(plan=st.one_of(plain, keyed))
    def create(self, plan: Plan) -> None:
        operation = self.household.operation(plan)
        self.household.do(plan.who, operation)
        if plan.key is not None:
            self.sent.append((plan.who, operation))

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 9))
    def create_again(self, which: int) -> None:
        self.household.do(*self.sent[which % len(self.sent)])

    @rule(plan=reads)
    def read(self, plan: Plan) -> None:
        self.do(plan)

    @rule(plan=writes)
    def write(self, plan: Plan) -> None:
        self.do(plan)

    @rule(plan=toggles)
    def complete(self, plan: Plan) -> None:
        self.do(plan)

    @rule(plan=deletions)
    def delete(self, plan: Plan) -> None:
        self.do(plan)

    @rule(plan=lists)
    def list_a_page(self, plan: Plan) -> None:
        self._read_page(plan.who, self.household.operation(plan))

    @precondition(lambda self: self.pages)
    @rule(which=st.integers(0, 9))
    def list_the_next_page(self, which: int) -> None:
        self._read_page(*self.pages.pop(which % len(self.pages)))

    @rule(plan=lists)
    def list_every_page(self, plan: Plan) -> None:
        self._read_page(plan.who, self.household.operation(plan))
        while self.pages and self.pages[-1][1].query[:4] == plan.query[:4]:
            self._read_page(*self.pages.pop())

    def _read_page(self, who: int, operation: Operation) -> None:
        answer = self.household.do(who, operation)
        if answer.next_link:
            query = operation.query._replace(after=answer.body[-1], link=answer.next_link)
            self.pages.append((who, replace(operation, query=query)))


class AtOnce(RuleBasedStateMachine):
    """Find an order of the concurrent operations in which the models return exactly these responses."""

    def __init__(self, http: httpx.Client) -> None:
        super().__init__()
        self.household = Household(http)
        self.threads = ThreadPoolExecutor(4)

    @rule(batch=batches)
    def ask(self, batch: list[Plan]) -> None:
        operations = [(plan.who, self.household.operation(plan)) for plan in batch]
        start = Barrier(len(operations))

        def send(of: tuple[int, Operation]) -> Answer:
            start.wait(timeout=10)
            return self.household.send(*of)

        answers = list(self.threads.map(send, operations))
        for who in (0, 1):
            history = [
                (operation, answer)
                for (sender, operation), answer in zip(operations, answers, strict=True)
                if sender == who
            ]
            self.household.models[who] = explained(self.household.models[who], history)

    def teardown(self) -> None:
        self.threads.shutdown()


def explained(model: Model, history: list[tuple[Operation, Answer]]) -> Model:
    """Return the model after some order of the history. Raise Disagreement if no order fits."""
    reasons = set()
    for order in permutations(history):
        became = model.copy()
        try:
            for operation, answer in order:
                became.take(operation, answer)
            return became
        except Disagreement as disagreement:
            reasons.add(str(disagreement))
    raise Disagreement(f"no order of {history} explains it: {reasons}")


@pytest.fixture(scope="module")
def client(new_database: Callable[[], str], folder: Path) -> Iterator[httpx.Client]:
    """Of a server that these tests have to themselves."""
    options = {"DATABASE_URL": new_database(), "BETTER_AUTH_SECRET": SECRET, "RATE_LIMIT": "off"}
    with run_server(folder, **options) as server, open_client(server.url) as http:
        yield http


@pytest.mark.parametrize("machine", [OneByOne, AtOnce])
def test_responses_equal_those_of_the_model(
    client: httpx.Client, machine: Callable[[httpx.Client], RuleBasedStateMachine], is_long: bool
):
    run_state_machine_as_test(
        partial(machine, client),
        settings=settings(
            max_examples=600 if is_long else 30,
            stateful_step_count=20,
            derandomize=not is_long,
            print_blob=is_long,
            deadline=None,
            database=None,
            phases=[Phase.generate, *([Phase.shrink] if machine is OneByOne else [])],
            suppress_health_check=[*HealthCheck],
        ),
    )
