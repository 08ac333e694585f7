/** What may safely be sent again is; everything else is sent once. */

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { createTodoClient, type TodoClient } from "todo-client";
import { baseUrl, clientOf, hasTask, LIST, lost, newUser, ONE, one, titles, tokenOf, unavailable, way } from "./people.js";

const list = (client: TodoClient, user_id: string, signal: AbortSignal | null = null) =>
  client.GET(LIST, { params: { path: { user_id } }, signal });

/** Lets no wait take long that is meant to be one of these, in ms, and notes it; fetch has timers of its own. */
function shortened({ mock }: TestContext, ...expected: number[]): number[] {
  const waits: number[] = [];
  const start = globalThis.setTimeout;
  mock.method(globalThis, "setTimeout", (end: () => void, wait_ms: number, ...rest: unknown[]) => {
    if (!expected.includes(wait_ms)) return start(end, wait_ms, ...rest);
    waits.push(wait_ms);
    return start(end, 0);
  });
  return waits;
}

/** Loses the first answer: the server has done its part, and nobody learns of it. */
const losingTheAnswer = () => way((_, number, send) => number === 1 && send().then(lost));

test("a task whose answer is lost is created once", async (t) => {
  shortened(t, 300);
  const user = newUser();
  const { fetch, sent } = losingTheAnswer();
  const { task } = await hasTask(clientOf(user, fetch), user);
  assert.deepEqual(await titles(user), [task.title]);
  const [first, second] = sent.map(({ headers }) => headers.get("Idempotency-Key"));
  assert.match(first ?? "", /^[0-9a-f]{32}$/);
  assert.equal(first, second);
});

test("two tasks alike are two tasks", async () => {
  const user = newUser();
  const client = clientOf(user);
  await hasTask(client, user);
  await hasTask(client, user);
  assert.deepEqual(await titles(user), ["Buy milk", "Buy milk"]);
});

test("the caller's own key is the one that is sent", async (t) => {
  shortened(t, 300);
  const user = newUser();
  const { fetch, sent } = losingTheAnswer();
  const params = { path: { user_id: user }, header: { "Idempotency-Key": "mine" } };
  await clientOf(user, fetch).POST(LIST, { params, body: { title: "Buy milk" } });
  assert.deepEqual(sent.map(({ headers }) => headers.get("Idempotency-Key")), ["mine", "mine"]);
});

test("a list is asked for three times, then the failure is handed on", async (t) => {
  const waits = shortened(t, 300, 600);
  const user = newUser();
  const { fetch, sent } = way(lost);
  await assert.rejects(list(clientOf(user, fetch), user), TypeError);
  assert.deepEqual([sent.length, waits], [3, [300, 600]]);
});

for (const status of [503, 409]) {
  test(`${status} with Retry-After is tried again when that is over`, async (t) => {
    const waits = shortened(t, 8000, 9000);
    const user = newUser();
    const { fetch, sent } = way((_, number) => number < 3 && unavailable(`${number + 7}`, status));
    await hasTask(clientOf(user, fetch), user);
    assert.deepEqual([sent.length, waits], [3, [8000, 9000]]);
  });
}

for (const retryAfter of ["11", "Sat, 21 Nov 2026 09:30:00 GMT", undefined]) {
  test(`503 with Retry-After ${retryAfter} is handed on at once`, async () => {
    const user = newUser();
    const { fetch, sent } = way(() => unavailable(retryAfter));
    assert.equal((await list(clientOf(user, fetch), user)).response.status, 503);
    assert.equal(sent.length, 1);
  });
}

test("what is wrong for good is not tried again", async () => {
  const user_id = newUser();
  const { fetch, sent } = way();
  const params = { path: { user_id, task_id: 1 } };
  assert.equal((await clientOf(user_id, fetch).GET(ONE, { params })).response.status, 404);
  assert.equal(sent.length, 1);
});

test("a change is never sent twice, nor what is not keyed", async () => {
  const user = newUser();
  const params = { path: one((await hasTask(clientOf(user), user)).task) };
  const { fetch, sent } = way(lost);
  const client = clientOf(user, fetch);
  const body = { title: "Buy oat milk" };
  await assert.rejects(client.PATCH(ONE, { params, body }), TypeError);
  await assert.rejects(client.PUT(ONE, { params, body }), TypeError);
  await assert.rejects(client.PATCH(`${ONE}/complete`, { params }), TypeError);
  await assert.rejects(client.DELETE(ONE, { params }), TypeError);
  const credentials = { email: "ada@example.com", password: "three green parrots" };
  await assert.rejects(client.POST("/api/auth/login", { body: credentials }), TypeError);
  assert.deepEqual(sent.map(({ method }) => method), ["PATCH", "PUT", "PATCH", "DELETE", "POST"]);
});

test("retries can be switched off", async () => {
  const user = newUser();
  const { fetch, sent } = way(lost);
  const client = createTodoClient({ baseUrl, token: tokenOf(user), fetch, retries: 0 });
  await assert.rejects(list(client, user), TypeError);
  assert.equal(sent.length, 1);
});

test("an abort ends the wait for the next try", async () => {
  const user = newUser();
  const controller = new AbortController();
  const { fetch, sent } = way(() => {
    setTimeout(() => controller.abort(new Error("gone")), 20);
    return unavailable("10");
  });
  await assert.rejects(list(clientOf(user, fetch), user, controller.signal), /gone/);
  assert.equal(sent.length, 1);
});

test("an abort of a request under way is not tried again", async () => {
  const user = newUser();
  const controller = new AbortController();
  const { fetch, sent } = way((_, __, send) => {
    const answer = send();
    controller.abort(new Error("gone"));
    return answer;
  });
  await assert.rejects(list(clientOf(user, fetch), user, controller.signal), /gone/);
  assert.equal(sent.length, 1);
});
