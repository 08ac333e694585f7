/** The life of a task, and what a page gets to see of the answers. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { createTodoClient, TodoProblem } from "todo-client";
import { accountsUrl, baseUrl, clientOf, hasTask, LIST, newUser, ONE, one, titles, way } from "./people.js";

test("a task is created, read, listed, changed, completed and deleted", async () => {
  const user = newUser();
  const client = clientOf(user);
  const { task } = await hasTask(client, user);
  const params = { path: one(task) };
  assert.deepEqual((await client.GET(ONE, { params })).data, task);
  assert.deepEqual((await client.GET(LIST, { params: { path: { user_id: user } } })).data, [task]);
  const changed = await client.PATCH(ONE, { params, body: { description: null, title: "Buy oat milk" } });
  assert.equal(changed.data?.title, "Buy oat milk");
  const completed = await client.PATCH(`${ONE}/complete`, { params, body: { completed: true } });
  assert.equal(completed.data?.completed, true);
  const replaced = await client.PUT(ONE, { params, body: { title: "Buy tea" } });
  assert.equal(replaced.data?.title, "Buy tea");
  assert.equal((await client.DELETE(ONE, { params })).response.status, 204);
  assert.deepEqual(await titles(user), []);
});

test("the answer's headers can be read", async () => {
  const user = newUser();
  const { task, response } = await hasTask(clientOf(user), user);
  assert.equal(response.headers.get("Location"), `/api/${user}/tasks/${task.id}`);
  assert.match(response.headers.get("ETag") ?? "", /^"[1-9]\d*"$/);
  assert.match(response.headers.get("X-Request-Id") ?? "", /^[0-9a-f]+$/);
});

test("a user id is sent as it is, whatever may stand in one", async () => {
  const user = `${newUser()}|a.b_c~d@e:f`;
  const { task } = await hasTask(clientOf(user), user);
  assert.equal(task.user_id, user);
  assert.deepEqual(await titles(user), ["Buy milk"]);
});

test("If-Match lets a change through once", async () => {
  const user = newUser();
  const client = clientOf(user);
  const { task, response } = await hasTask(client, user);
  const params = { path: one(task), header: { "If-Match": response.headers.get("ETag") ?? "" } };
  const first = await client.PATCH(ONE, { params, body: { title: "Buy oat milk" } });
  const second = await client.PATCH(ONE, { params, body: { title: "Buy tea" } });
  assert.deepEqual([first.response.status, second.response.status], [200, 412]);
  assert.equal(second.error?.type, "urn:todo:problem:stale-version");
  assert.deepEqual(await titles(user), ["Buy oat milk"]);
});

test("If-None-Match is 304 while the task is the same", async () => {
  const user = newUser();
  const client = clientOf(user);
  const { task, response } = await hasTask(client, user);
  const header = { "If-None-Match": response.headers.get("ETag") ?? "" };
  const same = await client.GET(ONE, { params: { path: one(task), header } });
  assert.deepEqual([same.response.status, same.data], [304, undefined]);
});

test("a problem says what is wrong, to programs and to people", async () => {
  const user_id = newUser();
  const { error, response } = await clientOf(user_id).POST(LIST, {
    params: { path: { user_id } },
    body: { title: " " },
  });
  const detail = "title: must not be blank";
  assert.equal(error?.detail, detail);
  assert.deepEqual(error?.errors, [{ in: "body", pointer: "/title", keyword: "pattern", detail }]);
  const problem = new TodoProblem(response, error);
  assert.equal(problem.status, 400);
  assert.equal(problem.problem?.type, "urn:todo:problem:invalid-request");
  assert.equal(problem.requestId, response.headers.get("X-Request-Id"));
  assert.match(problem.message, /: title: must not be blank/);
});

test("what a proxy answers is an error without a problem", () => {
  const problem = new TodoProblem(new Response("<h1>Bad Gateway</h1>", { status: 502 }), "<h1>Bad Gateway</h1>");
  assert.deepEqual([problem.status, problem.problem, problem.requestId], [502, undefined, undefined]);
});

test("what needs no token is asked without one", async () => {
  let asked = 0;
  const { fetch, sent } = way();
  const client = createTodoClient({ baseUrl, fetch, token: () => `token ${++asked}` });
  assert.equal((await client.GET("/health/ready")).data?.status, "ready");
  assert.deepEqual([asked, sent[0]?.headers.get("Authorization")], [0, null]);
});

test("a wrong password is no reason for a fresh token, nor to sign in again", async () => {
  const told = () => assert.fail("told");
  const client = createTodoClient({ baseUrl: accountsUrl, token: told, onUnauthenticated: told });
  const { error } = await client.POST("/api/auth/login", { body: { email: "bob@example.com", password: "?" } });
  assert.equal(error?.type, "urn:todo:problem:wrong-credentials");
});
