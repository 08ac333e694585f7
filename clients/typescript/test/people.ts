/** The servers under test, the people who call them, and the faults that happen on the way. */

import { createHmac, randomUUID } from "node:crypto";
import { createTodoClient, type Send, type Task, type TodoClient, TodoProblem } from "todo-client";

export const LIST = "/api/{user_id}/tasks";
export const ONE = "/api/{user_id}/tasks/{task_id}";

/** What the Python that runs these tests says about its servers. */
function given(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run tests/ecosystem/typescript`);
  return value;
}

export const baseUrl = given("TODO_URL");
export const accountsUrl = given("TODO_ACCOUNTS_URL");
const secret = given("TODO_SECRET");

/** A token as the frontend mints it, which is over in so many seconds; or is already, when negative. */
export function tokenOf(sub: string, seconds = 600): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = { sub, iat: now - 3600, exp: now + seconds };
  const parts = [{ alg: "HS256", typ: "JWT" }, claims].map((part) => encoded(JSON.stringify(part)));
  return [...parts, encoded(createHmac("sha256", secret).update(parts.join(".")).digest())].join(".");
}

const encoded = (bytes: string | Buffer): string => Buffer.from(bytes).toString("base64url");

/** Someone the server has never seen. */
export const newUser = (): string => `ada-${randomUUID()}`;

/** Their client, whose requests go by way of `fetch`. */
export function clientOf(user: string, fetch: Send = globalThis.fetch): TodoClient {
  return createTodoClient({ baseUrl, token: tokenOf(user), fetch });
}

export function one(task: Task): { user_id: string; task_id: number } {
  return { user_id: task.user_id, task_id: task.id };
}

/** A new task of theirs, and the answer it came with. */
export async function hasTask(client: TodoClient, user_id: string, title = "Buy milk") {
  const { data, error, response } = await client.POST(LIST, { params: { path: { user_id } }, body: { title } });
  if (!data) throw new TodoProblem(response, error);
  return { task: data, response };
}

/** The titles of all their tasks, as another client of theirs sees them. */
export async function titles(user: string): Promise<string[]> {
  const all = [];
  for await (const task of clientOf(user).tasks(user, { sort: "title" })) all.push(task.title);
  return all;
}

/** What a request was sent with. */
export type Sent = { method: string; url: URL; headers: Headers; body: string };

/** The way to the server, which notes what goes by; `fault` may stand in for an answer, or throw. */
export function way(fault: (sent: Sent, number: number, send: () => Promise<Response>) => unknown = () => {}) {
  const sent: Sent[] = [];
  const fetch: Send = async (request) => {
    const { method, headers } = request;
    const note = { method, url: new URL(request.url), headers, body: await request.clone().text() };
    sent.push(note);
    const instead = await fault(note, sent.length, () => globalThis.fetch(request));
    return instead instanceof Response ? instead : globalThis.fetch(request);
  };
  return { sent, fetch };
}

/** What fetch throws when the connection is lost. */
export const lost = (): never => {
  throw new TypeError("fetch failed");
};

/** What the server says when it cannot now. */
export function unavailable(retryAfter: string | undefined, status = 503): Response {
  return new Response("{}", { status, headers: retryAfter === undefined ? {} : { "Retry-After": retryAfter } });
}
