/** The todo backend's API, typed: openapi-fetch with tokens, keys, retries and pages. */

import createClient, { type Client, type Middleware } from "openapi-fetch";
import { type PageOptions, pages, type Task, type TaskQuery, TASKS, tasks } from "./pages.js";
import { retrying, type Send } from "./retries.js";
import type { components, paths } from "./schema.js";
import { authenticated, TOKEN_WANTED, type TokenSource } from "./tokens.js";

export type { components, paths } from "./schema.js";
export type { PageOptions, Task, TaskQuery } from "./pages.js";
export type { Send } from "./retries.js";
export type { Token, TokenSource } from "./tokens.js";
export { type Problem, type ProblemType, TodoProblem } from "./problem.js";
export type NewTask = components["schemas"]["TaskInput"];
export type TaskChanges = components["schemas"]["TaskChanges"];

export interface TodoClientOptions {
  /** Where the contract's paths begin, for instance "https://example.com" or "https://example.com/todo". */
  baseUrl: string;
  /** Remembered until it is refused: make a client for each person who signs in. */
  token?: TokenSource;
  /** Called when the server refuses the token and there is no fresh one that it takes: time to sign in. */
  onUnauthenticated?: () => void;
  /** How often a GET, or a POST with a key, is sent again; 2 unless said otherwise, 0 for never. */
  retries?: number;
  /** Instead of the global fetch. */
  fetch?: Send;
}

export interface TodoClient extends Client<paths> {
  /** All tasks, page by page. Throws TodoProblem when a page is not 2xx. */
  pages(userId: string, query?: TaskQuery, options?: PageOptions): AsyncGenerator<Task[], void, undefined>;
  /** All tasks, one by one; each page is asked for when the one before is used up. Throws as `pages` does. */
  tasks(userId: string, query?: TaskQuery, options?: PageOptions): AsyncGenerator<Task, void, undefined>;
}

export function createTodoClient(options: TodoClientOptions): TodoClient {
  const { baseUrl, token, onUnauthenticated, retries = 2, fetch = globalFetch } = options;
  const send = authenticated(retrying(fetch, retries), token, onUnauthenticated);
  const client = createClient<paths>({ baseUrl, fetch: send });
  client.use(prepared);
  return Object.assign(client, {
    pages: (...list: List) => pages(client, ...list),
    tasks: (...list: List) => tasks(client, ...list),
  });
}

type List = Parameters<TodoClient["pages"]>;

/** Looked up when it is called: frameworks and tests replace it. */
const globalFetch: Send = (request) => globalThis.fetch(request);

/** Every operation on a user's tasks takes a token, and a new task a key. What the caller gave stays. */
const prepared: Middleware = {
  onRequest({ request: { headers, method }, schemaPath }) {
    if (!schemaPath.includes("{user_id}")) return;
    if (!headers.has("Authorization")) headers.set("Authorization", TOKEN_WANTED);
    if (method !== "POST" || schemaPath !== TASKS || headers.has("Idempotency-Key")) return;
    headers.set("Idempotency-Key", newKey());
  },
};

/** 128 random bits. Not crypto.randomUUID(), which pages without https do not have. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
