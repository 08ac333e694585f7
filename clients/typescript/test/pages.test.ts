/** Reading a list to its end, or until one has seen enough. */

import assert from "node:assert/strict";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { before, test } from "node:test";
import { compareTitles, createTodoClient, type Task, TodoProblem, type TaskQuery } from "todo-client";
import { baseUrl, clientOf, hasTask, newUser, ONE, one, tokenOf, unavailable, way } from "./people.js";

const user = newUser();
const names = ["a", "b", "c", "d", "e", "f", "g"];

before(async () => {
  const client = clientOf(user);
  for (const name of names) {
    const { task } = await hasTask(client, user, name);
    if ("bdf".includes(name)) await client.PATCH(`${ONE}/complete`, { params: { path: one(task) } });
  }
});

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const read = [];
  for await (const item of items) read.push(item);
  return read;
}

const titled = (tasks: Task[]): string => tasks.map(({ title }) => title).join("");

test("every task comes once, whatever the size of a page", async () => {
  const { fetch, sent } = way();
  const tasks = await all(clientOf(user, fetch).tasks(user, { limit: 2, sort: "title" }));
  assert.equal(titled(tasks), "abcdefg");
  assert.equal(sent.length, 4);
  assert.deepEqual([...new Set(sent.map(({ method }) => method))], ["GET"]);
});

test("pages come as the server makes them", async () => {
  const pages = await all(clientOf(user).pages(user, { limit: 3, sort: "title" }));
  assert.deepEqual(pages.map(titled), ["abc", "def", "g"]);
});

test("a page says where the next one is", async () => {
  const client = clientOf(user);
  const read: string[] = [];
  let next: string | undefined;
  do {
    const page = await client.page(user, { limit: 3, sort: "title" }, { next });
    read.push(titled(page.tasks));
    next = page.next;
  } while (next);
  assert.deepEqual(read, ["abc", "def", "g"]);
});

test("polling yields a changed page, and an unchanged one is a 304 on the wire", async () => {
  const watched = newUser();
  await hasTask(clientOf(watched), watched, "first");
  const statuses: number[] = [];
  const controller = new AbortController();
  const { fetch, sent } = way(async (_, number, send) => {
    const response = await send();
    statuses.push(response.status);
    if (number === 3) await hasTask(clientOf(watched), watched, "second");
    return response;
  });
  const options = { interval_ms: 1, signal: controller.signal };
  const seen: string[][] = [];
  await assert.rejects(async () => {
    for await (const { tasks } of clientOf(watched, fetch).poll(watched, {}, options)) {
      seen.push(tasks.map(({ title }) => title));
      if (seen.length === 2) controller.abort(new Error("enough"));
    }
  }, /enough/);
  assert.deepEqual(seen, [["first"], ["second", "first"]]);
  assert.deepEqual(statuses, [200, 304, 304, 200]);
  assert.equal(sent[0]?.headers.get("If-None-Match"), null);
});

test("titles are compared as people sort them", () => {
  const titles = ["Zebra", "Task 10", "äpfel", "Task 9", "apple"];
  const sorted = titles.map((title) => ({ title })).sort(compareTitles);
  assert.deepEqual(sorted.map(({ title }) => title), ["äpfel", "apple", "Task 9", "Task 10", "Zebra"]);
});

for (const [query, expected] of [
  [{ status: "completed", sort: "title", order: "desc" }, "fdb"],
  [{ status: "pending", sort: "created", order: "asc" }, "aceg"],
  [{}, "gfedcba"],
] satisfies [TaskQuery, string][]) {
  test(`${JSON.stringify(query)} holds on every page`, async () => {
    assert.equal(titled(await all(clientOf(user).tasks(user, { ...query, limit: 1 }))), expected);
  });
}

test("nobody's list is one empty page", async () => {
  const nobody = newUser();
  assert.deepEqual(await all(clientOf(nobody).pages(nobody)), [[]]);
});

test("who stops early makes no further request", async () => {
  const { fetch, sent } = way();
  const seen = [];
  for await (const task of clientOf(user, fetch).tasks(user, { limit: 2, sort: "title" })) {
    seen.push(task);
    if (task.title === "d") break;
  }
  assert.deepEqual([titled(seen), sent.length], ["abcd", 2]);
});

test("the next page is asked for when this one is used up", async () => {
  const { fetch, sent } = way();
  const tasks = clientOf(user, fetch).tasks(user, { limit: 2 });
  assert.equal(sent.length, 0);
  await tasks.next();
  await tasks.next();
  assert.equal(sent.length, 1);
  await tasks.next();
  assert.equal(sent.length, 2);
});

test("the Link is followed as it is, by the token's owner", async () => {
  const { fetch, sent } = way();
  const first = await clientOf(user).GET("/api/{user_id}/tasks", {
    params: { path: { user_id: user }, query: { limit: 4 } },
  });
  await all(clientOf(user, fetch).pages(user, { limit: 4 }));
  const { pathname, search } = sent[1]?.url ?? new URL(baseUrl);
  assert.equal(first.response.headers.get("Link"), `<${pathname}${search}>; rel="next"`);
});

test("a page that fails is thrown as its problem", async () => {
  await assert.rejects(all(clientOf(user).tasks(newUser())), (error) => {
    assert.ok(error instanceof TodoProblem);
    assert.equal(error.problem?.type, "urn:todo:problem:forbidden");
    assert.match(error.requestId ?? "", /^[0-9a-f]+$/);
    return error.status === 403;
  });
});

test("a later page that fails is thrown after the tasks before it", async () => {
  const { fetch } = way((_, number) => number === 2 && unavailable(undefined));
  const tasks = clientOf(user, fetch).tasks(user, { limit: 1, sort: "title" });
  assert.equal((await tasks.next()).value?.title, "a");
  await assert.rejects(tasks.next(), { name: "TodoProblem", status: 503 });
});

test("a token that is over between two pages is replaced", async () => {
  const tokens = [tokenOf(user), tokenOf(user, 601)];
  const rejected = { type: "urn:todo:problem:invalid-token" };
  const { fetch, sent } = way((_, number) => number === 2 && Response.json(rejected, { status: 401 }));
  const client = createTodoClient({ baseUrl, token: () => tokens.shift(), fetch });
  assert.equal((await all(client.tasks(user, { limit: 4 }))).length, 7);
  assert.equal(sent.length, 3);
});

test("an abort ends the reading", async () => {
  const controller = new AbortController();
  const tasks = clientOf(user).tasks(user, { limit: 1 }, { signal: controller.signal });
  await tasks.next();
  controller.abort(new Error("gone"));
  await assert.rejects(tasks.next(), /gone/);
});

test("a Link never takes the token to another server", async () => {
  const elsewhere = { headers: { Link: '<//example.com/api/x/tasks>; rel="next"' } };
  const { fetch, sent } = way(() => Response.json([], elsewhere));
  assert.deepEqual(await all(clientOf(user, fetch).pages(user)), [[]]);
  assert.equal(sent.length, 1);
});

for (const slash of ["", "/"]) {
  test(`behind a proxy's path${slash} the pages are found as well`, async () => {
    const proxy = createServer((incoming, outgoing) => {
      if (!incoming.url?.startsWith("/todo/")) return void outgoing.writeHead(404).end();
      const { method, headers } = incoming;
      const onward = request(baseUrl + incoming.url.slice("/todo".length), { method, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      incoming.pipe(onward);
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const { port } = proxy.address() as AddressInfo;
    const client = createTodoClient({ baseUrl: `http://127.0.0.1:${port}/todo${slash}`, token: tokenOf(user) });
    try {
      assert.equal(titled(await all(client.tasks(user, { limit: 2, sort: "title" }))), "abcdefg");
    } finally {
      proxy.closeAllConnections();
      proxy.close();
    }
  });
}
