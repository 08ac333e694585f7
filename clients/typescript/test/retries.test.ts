/** What may safely be sent again is; everything else is sent once. */

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { createTodoClient, type TodoClient } from "todo-client";
import { baseUrl, clientOf, hasTask, LIST, lost, newUser, ONE, one, titles, tokenOf, unavailable, way } from "./people.js";

const list = (client: TodoClient, user_id: string, signal: AbortSignal | null = null) =>
  client.GET(LIST, { params: { path: { user_id } }, signal });

/** Shorten and record the waits of these lengths in ms, without jitter. fetch has timers of its own. */
function shortened({ mock }: TestContext, ...expected: number[]): number[] {
  const waits: number[] = [];
  mock.method(Math, "random", () => 0.5);
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

test("a list is requested for 9 seconds, longer than a restart, then the error is thrown", async (t) => {
  const expected = [300, 600, 1200, 2400, 4800];
  const waits = shortened(t, ...expected);
  const user = newUser();
  const { fetch, sent } = way(lost);
  await assert.rejects(list(clientOf(user, fetch), user), TypeError);
  assert.deepEqual([sent.length, waits], [6, expected]);
});

test("waits differ, so that clients do not return at the same moment", async ({ mock }) => {
  const waits = new Set<number>();
  const start = globalThis.setTimeout;
  mock.method(globalThis, "setTimeout", (end: () => void, wait_ms: number) => start(end, waits.add(wait_ms) && 0));
  const users = Array.from({ length: 5 }, newUser);
  await Promise.all(users.map((user) => assert.rejects(list(clientOf(user, way(lost).fetch), user), TypeError)));
  assert.ok(waits.size > 20);
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

test("a change whose response is lost is repeated with If-Match, and is a success", async (t) => {
  shortened(t, 300);
  const user = newUser();
  const { task } = await hasTask(clientOf(user), user);
  const params = { path: one(task), header: { "If-Match": '"1"' } };
  const { fetch, sent } = losingTheAnswer();
  const { data, response } = await clientOf(user, fetch).PATCH(ONE, { params, body: { title: "Buy oat milk" } });
  assert.deepEqual([data?.title, data?.version, response.status, sent.length], ["Buy oat milk", 2, 200, 2]);
  assert.equal(response.headers.get("ETag"), '"2"');
  const completing = losingTheAnswer();
  const done = await clientOf(user, completing.fetch).PATCH(`${ONE}/complete`, {
    params: { path: one(task), header: { "If-Match": '"2"' } },
    body: { completed: true },
  });
  assert.deepEqual([done.data?.completed, completing.sent.length], [true, 2]);
});

test("a repeated change stays a 412 if somebody else has changed the task", async (t) => {
  shortened(t, 300);
  const user = newUser();
  const client = clientOf(user);
  const { task } = await hasTask(client, user);
  await client.PATCH(ONE, { params: { path: one(task) }, body: { title: "Buy bread" } });
  const params = { path: one(task), header: { "If-Match": '"1"' } };
  const { fetch, sent } = way((_, number) => number === 1 && lost());
  const { error, response } = await clientOf(user, fetch).PATCH(ONE, { params, body: { title: "Buy oat milk" } });
  assert.deepEqual([response.status, error?.current?.title, sent.length], [412, "Buy bread", 2]);
});

test("a 412 without a repetition is a 412, also if the task is as wanted", async () => {
  const user = newUser();
  const client = clientOf(user);
  const { task } = await hasTask(client, user);
  await client.PATCH(ONE, { params: { path: one(task) }, body: { title: "Buy oat milk" } });
  const params = { path: one(task), header: { "If-Match": '"1"' } };
  const { response } = await client.PATCH(ONE, { params, body: { title: "Buy oat milk" } });
  assert.equal(response.status, 412);
});

test("a deletion whose response is lost is repeated with If-Match, and is a success", async (t) => {
  shortened(t, 300);
  const user = newUser();
  const { task } = await hasTask(clientOf(user), user);
  const { fetch, sent } = losingTheAnswer();
  const params = { path: one(task), header: { "If-Match": '"1"' } };
  const { error, response } = await clientOf(user, fetch).DELETE(ONE, { params });
  assert.deepEqual([error, response.status, sent.length], [undefined, 204, 2]);
  assert.deepEqual(await titles(user), []);
});

test("a toggle is never sent twice, also with If-Match", async () => {
  const user = newUser();
  const { task } = await hasTask(clientOf(user), user);
  const params = { path: one(task), header: { "If-Match": '"1"' } };
  const { fetch, sent } = way(lost);
  await assert.rejects(clientOf(user, fetch).PATCH(`${ONE}/complete`, { params }), TypeError);
  await assert.rejects(clientOf(user, fetch).PATCH(`${ONE}/complete`, { params, body: {} }), TypeError);
  assert.equal(sent.length, 2);
});

test("a change without If-Match is never sent twice, nor what is not keyed", async () => {
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
