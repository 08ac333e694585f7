/** A token that is over is replaced without anyone noticing; one that cannot be is made known. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { createTodoClient, type TokenSource } from "todo-client";
import { baseUrl, clientOf, hasTask, LIST, newUser, ONE, one, titles, tokenOf, way } from "./people.js";

/** Gives these tokens, one each time it is asked, then the last again; counts how often that was. */
function tokens(...all: (string | undefined)[]) {
  const source = { asked: 0, next: async () => all[Math.min(source.asked++, all.length - 1)] };
  return source;
}

/** A client with these tokens; counts how often it was told to sign in. */
function told(token: TokenSource, { fetch, sent } = way()) {
  const client = createTodoClient({ baseUrl, token, fetch, onUnauthenticated: () => seen.times++ });
  const seen = { client, sent, times: 0 };
  return seen;
}

const list = (user_id: string) => [LIST, { params: { path: { user_id } } }] as const;

test("a token is asked for once, and remembered", async () => {
  const user = newUser();
  const source = tokens(tokenOf(user));
  const { client } = told(source.next);
  await Promise.all([1, 2, 3].map(() => client.GET(...list(user))));
  assert.equal((await client.GET(...list(user))).response.status, 200);
  assert.equal(source.asked, 1);
});

test("an expired token is replaced, and the body sent again whole", async () => {
  const user = newUser();
  const source = tokens(tokenOf(user, -60), tokenOf(user));
  const seen = told(source.next);
  await hasTask(seen.client, user, "Zwei Liter süße Milch 🥛");
  assert.deepEqual(await titles(user), ["Zwei Liter süße Milch 🥛"]);
  assert.deepEqual([source.asked, seen.times, seen.sent.length], [2, 0, 2]);
});

test("a change that was refused is sent again whole too", async () => {
  const user = newUser();
  const params = { path: one((await hasTask(clientOf(user), user)).task) };
  const { client, sent } = told(tokens(tokenOf(user, -60), tokenOf(user)).next);
  const { data } = await client.PATCH(ONE, { params, body: { title: "Buy oat milk" } });
  assert.equal(data?.title, "Buy oat milk");
  assert.equal(sent.length, 2);
});

test("many that are refused at once get one fresh token together", async () => {
  const user = newUser();
  const source = tokens(tokenOf(user, -60), tokenOf(user));
  const { client, sent } = told(source.next);
  const titled = Array.from({ length: 12 }, (_, number) => `task ${number}`);
  await Promise.all(titled.map((title) => hasTask(client, user, title)));
  assert.deepEqual(await titles(user), titled.sort());
  assert.deepEqual([source.asked, sent.length], [2, 24]);
});

test("one that is refused late takes the token that is fresh already", async () => {
  const user = newUser();
  const source = tokens(tokenOf(user, -60), tokenOf(user));
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const { client } = told(source.next, way(async (_, number, send) => number === 1 && held.then(send)));
  const late = client.GET(...list(user));
  assert.equal((await client.GET(...list(user))).response.status, 200);
  release();
  assert.equal((await late).response.status, 200);
  assert.equal(source.asked, 2);
});

test("refused twice, it is said, and the answer handed on", async () => {
  const user = newUser();
  const source = tokens(tokenOf(user, -60), tokenOf(user, -30));
  const seen = told(source.next);
  const { error } = await seen.client.GET(...list(user));
  assert.equal(error?.type, "urn:todo:problem:invalid-token");
  assert.deepEqual([source.asked, seen.sent.length, seen.times], [2, 2, 1]);
});

test("the same token is not tried twice", async () => {
  const user = newUser();
  const seen = told(tokenOf(user, -60));
  assert.equal((await seen.client.GET(...list(user))).response.status, 401);
  assert.deepEqual([seen.sent.length, seen.times], [1, 1]);
});

test("nobody signed in is 401, until somebody is", async () => {
  const user = newUser();
  const source = tokens(undefined, tokenOf(user));
  const seen = told(source.next);
  assert.equal((await seen.client.GET(...list(user))).error?.type, "urn:todo:problem:unauthenticated");
  assert.deepEqual([seen.times, seen.sent[0]?.headers.get("Authorization")], [1, null]);
  assert.equal((await seen.client.GET(...list(user))).response.status, 200);
});

test("a token function that fails is asked again the next time", async () => {
  const user = newUser();
  let asked = 0;
  const { client } = told(() => (asked++ ? tokenOf(user) : Promise.reject(new Error("no network"))));
  await assert.rejects(client.GET(...list(user)), /no network/);
  assert.equal((await client.GET(...list(user))).response.status, 200);
});

test("another's tasks are 403 if there is no token of that user", async () => {
  const source = tokens(tokenOf(newUser()));
  const seen = told(source.next);
  assert.equal((await seen.client.GET(...list(newUser()))).response.status, 403);
  assert.deepEqual([source.asked, seen.sent.length, seen.times], [2, 1, 0]);
});

test("a token of another user is replaced before the request is sent", async () => {
  const [ada, bob] = [newUser(), newUser()];
  const source = tokens(tokenOf(ada), tokenOf(bob));
  const { client, sent } = told(source.next);
  assert.equal((await client.GET(...list(ada))).response.status, 200);
  assert.equal((await client.GET(...list(bob))).response.status, 200);
  assert.deepEqual([source.asked, sent.length], [2, 2]);
});

test("a forgotten token is asked for again", async () => {
  const user = newUser();
  const source = tokens(tokenOf(user));
  const { client } = told(source.next);
  await client.GET(...list(user));
  client.forget();
  await client.GET(...list(user));
  assert.equal(source.asked, 2);
});

test("the function learns which token was rejected", async () => {
  const user = newUser();
  const [old, fresh] = [tokenOf(user, -60), tokenOf(user)];
  const rejected: unknown[] = [];
  const { client } = told((token) => (rejected.push(token), rejected.length === 1 ? old : fresh));
  assert.equal((await client.GET(...list(user))).response.status, 200);
  assert.deepEqual(rejected, [undefined, old]);
});

test("a token that the caller puts on a request stays", async () => {
  const [ada, bob] = [newUser(), newUser()];
  const seen = told(tokenOf(ada));
  const headers = { Authorization: `Bearer ${tokenOf(bob)}` };
  const params = { path: { user_id: bob } };
  assert.equal((await seen.client.GET(LIST, { params, headers })).response.status, 200);
});

test("nobody waits for a token after they aborted", async () => {
  const controller = new AbortController();
  const { client, sent } = told(() => new Promise(() => {}));
  const asked = client.GET(LIST, { params: { path: { user_id: "ada" } }, signal: controller.signal });
  controller.abort(new Error("gone"));
  await assert.rejects(asked, /gone/);
  assert.equal(sent.length, 0);
});
