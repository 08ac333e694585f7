/** Sessions with the built-in accounts: they last, two tabs share them, and they end. */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { type AccountsOptions, createAccounts, createTodoClient, TodoProblem, type User } from "todo-client";
import { accountsUrl, LIST, lost, way } from "./people.js";

const password = "three green parrots";
const newCredentials = () => ({ email: `${randomUUID()}@example.com`, password });

/** A storage as a browser has it. */
function newStorage() {
  const items = new Map<string, string>();
  return {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key),
  };
}

function newAccounts(options: Partial<AccountsOptions> = {}) {
  const changes: (string | null)[] = [];
  const onSessionChange = (user: User | null) => changes.push(user?.email ?? null);
  return { accounts: createAccounts({ baseUrl: accountsUrl, onSessionChange, ...options }), changes };
}

/** Let the access token of a stored session expire in the eyes of the client. */
function expire(storage: ReturnType<typeof newStorage>): void {
  const session = JSON.parse(storage.getItem("todo-session") ?? "{}");
  storage.setItem("todo-session", JSON.stringify({ ...session, expires_at: 0 }));
}

const isProblem = (type: string) => (error: unknown) =>
  error instanceof TodoProblem && error.problem?.type === `urn:todo:problem:${type}`;

test("a user signs up, uses tasks, and signs out", async () => {
  const { accounts, changes } = newAccounts();
  const credentials = newCredentials();
  const user = await accounts.signUp(credentials);
  const client = createTodoClient({ baseUrl: accountsUrl, token: accounts.token });
  const params = { path: { user_id: user.id } };
  assert.equal((await client.POST(LIST, { params, body: { title: "Buy milk" } })).response.status, 201);
  assert.equal(accounts.user?.id, user.id);
  await accounts.signOut();
  client.forget();
  assert.equal(accounts.user, null);
  assert.equal((await client.GET(LIST, { params })).response.status, 401);
  assert.deepEqual(changes, [credentials.email, null]);
});

test("a wrong password is a problem, and no reason for a refresh", async () => {
  const { fetch, sent } = way();
  const { accounts } = newAccounts({ fetch });
  const credentials = newCredentials();
  await accounts.signUp(credentials);
  const other = newAccounts({ fetch }).accounts;
  await assert.rejects(other.logIn({ ...credentials, password: "another password" }), isProblem("wrong-credentials"));
  await assert.rejects(accounts.changePassword("another password", password), isProblem("wrong-password"));
  await assert.rejects(accounts.deleteAccount("another password"), isProblem("wrong-password"));
  assert.deepEqual(sent.filter(({ url }) => url.pathname.endsWith("/refresh")), []);
  assert.equal(accounts.user?.email, credentials.email);
});

test("a session is restored from the storage, in memory it is gone", async () => {
  const storage = newStorage();
  const { email } = await newAccounts({ storage }).accounts.signUp(newCredentials());
  const reloaded = newAccounts({ storage });
  assert.equal((await reloaded.accounts.restore())?.email, email);
  assert.deepEqual(reloaded.changes, [email]);
  assert.equal(await newAccounts().accounts.restore(), null);
  storage.setItem("todo-session", "not JSON");
  assert.equal(await newAccounts({ storage }).accounts.restore(), null);
});

test("many requests refresh an expired session once", async () => {
  const storage = newStorage();
  await newAccounts({ storage }).accounts.signUp(newCredentials());
  expire(storage);
  const { fetch, sent } = way();
  const { accounts } = newAccounts({ storage, fetch });
  const restored = accounts.restore();
  const tokens = await Promise.all(Array.from({ length: 20 }, () => accounts.token()));
  await restored;
  assert.equal(new Set(tokens).size, 1);
  assert.equal(sent.length, 1);
  assert.notEqual(JSON.parse(storage.getItem("todo-session") ?? "{}").expires_at, 0);
});

test("a rejected token is refreshed, and the request repeated", async () => {
  const { fetch, sent } = way();
  const { accounts } = newAccounts({ fetch });
  const { id } = await accounts.signUp(newCredentials());
  let token = await accounts.token();
  const client = createTodoClient({
    baseUrl: accountsUrl,
    token: (rejected) => (rejected ? accounts.token(token) : `${token}x`),
  });
  assert.equal((await client.GET(LIST, { params: { path: { user_id: id } } })).response.status, 200);
  assert.equal(sent.at(-1)?.url.pathname, "/api/auth/refresh");
});

test("a refresh whose response is lost is repeated", async () => {
  const storage = newStorage();
  const { email } = await newAccounts({ storage }).accounts.signUp(newCredentials());
  expire(storage);
  const { fetch, sent } = way((_, number, send) => number === 1 && send().then(lost));
  assert.equal((await newAccounts({ storage, fetch }).accounts.restore())?.email, email);
  assert.equal(sent.length, 2);
});

test("two tabs with one storage stay signed in", async () => {
  const storage = newStorage();
  const { email } = await newAccounts({ storage }).accounts.signUp(newCredentials());
  expire(storage);
  const tabs = [newAccounts({ storage }), newAccounts({ storage })];
  assert.deepEqual((await Promise.all(tabs.map(({ accounts }) => accounts.restore()))).map((user) => user?.email), [email, email]);
  for (const { accounts } of tabs) assert.ok(await accounts.token());
});

test("a session that has ended is made known", async () => {
  const storage = newStorage();
  const first = newAccounts({ storage }).accounts;
  const credentials = newCredentials();
  await first.signUp(credentials);
  await newAccounts().accounts.logIn(credentials).then(async () => {
    const other = newAccounts().accounts;
    await other.logIn(credentials);
    await other.changePassword(password, "four blue parrots");
  });
  expire(storage);
  const reloaded = newAccounts({ storage });
  assert.equal(await reloaded.accounts.restore(), null);
  assert.deepEqual(reloaded.changes, [credentials.email, null]);
  assert.equal(storage.getItem("todo-session"), null);
});

test("a server that is away ends no session", async () => {
  const storage = newStorage();
  await newAccounts({ storage }).accounts.signUp(newCredentials());
  expire(storage);
  const { accounts, changes } = newAccounts({ storage, fetch: lost, retries: 0 });
  await assert.rejects(accounts.restore(), TypeError);
  assert.equal(changes.length, 1);
  assert.ok(storage.getItem("todo-session"));
});

test("a changed password keeps this session, and a deleted account ends it", async () => {
  const { accounts, changes } = newAccounts();
  const credentials = newCredentials();
  await accounts.signUp(credentials);
  assert.equal((await accounts.changePassword(password, "four blue parrots")).email, credentials.email);
  assert.ok(await accounts.token());
  await accounts.deleteAccount("four blue parrots");
  assert.deepEqual([accounts.user, changes], [null, [credentials.email, null]]);
  await assert.rejects(accounts.logIn({ ...credentials, password: "four blue parrots" }), isProblem("wrong-credentials"));
});
