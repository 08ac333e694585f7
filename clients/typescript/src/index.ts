/** The todo API, typed: openapi-fetch with tokens, keys, retries and pages. */

import createClient, { type Client, type Middleware } from "openapi-fetch";
import { type Page, type PageOptions, page, pages, poll, type PollOptions, type Task, type TaskQuery, TASKS, tasks } from "./pages.js";
import { retrying, type Send } from "./retries.js";
import type { components, paths } from "./schema.js";
import { authenticated, TOKEN_WANTED, type TokenSource } from "./tokens.js";

export { type Accounts, type AccountsOptions, type Credentials, createAccounts, type User } from "./accounts.js";
export type { components, paths } from "./schema.js";
export { compareTitles, type Page, type PageOptions, type PollOptions, type Task, type TaskQuery } from "./pages.js";
export type { Send } from "./retries.js";
export type { Token, TokenSource } from "./tokens.js";
export { type Problem, type ProblemType, TodoProblem } from "./problem.js";
export type NewTask = components["schemas"]["TaskInput"];
export type TaskChanges = components["schemas"]["TaskChanges"];

export interface TodoClientOptions {
  /** Where the contract's paths begin, for instance "https://example.com" or "https://example.com/todo". */
  baseUrl: string;
  /** Cached until it is rejected, until it is another user's than that of the path, or until `forget`. */
  token?: TokenSource;
  /** Called if the server rejects the token and there is no other one: the user has to sign in. */
  onUnauthenticated?: () => void;
  /** How often a request is repeated where that is safe, 5 by default, 0 for never. */
  retries?: number;
  /** Instead of the global fetch. */
  fetch?: Send;
}

/** The functions for lists throw TodoProblem if a response is not 2xx. */
export interface TodoClient extends Client<paths> {
  /** One page, for example for useInfiniteQuery: `next` of a page is an option of the next call. */
  page(userId: string, query?: TaskQuery, options?: PageOptions & { next?: string | undefined }): Promise<Page>;
  /** All tasks, page by page. */
  pages(userId: string, query?: TaskQuery, options?: PageOptions): AsyncGenerator<Task[], void, undefined>;
  /** All tasks, one by one. Each page is requested after the last task of the page before. */
  tasks(userId: string, query?: TaskQuery, options?: PageOptions): AsyncGenerator<Task, void, undefined>;
  /** The first page now, and again each time that it has changed. */
  poll(userId: string, query?: TaskQuery, options?: PollOptions): AsyncGenerator<Page, void, undefined>;
  /** Forget the cached token, when the user signs out. */
  forget(): void;
}

export function createTodoClient(options: TodoClientOptions): TodoClient {
  const { baseUrl, token, onUnauthenticated, retries = 5, fetch = globalFetch } = options;
  const { send, forget } = authenticated(retrying(fetch, retries), token, onUnauthenticated);
  const client = createClient<paths>({ baseUrl, fetch: send });
  client.use(prepare);
  return Object.assign(client, {
    page: (...list: List<"page">) => page(client, ...list),
    pages: (...list: List<"pages">) => pages(client, ...list),
    tasks: (...list: List<"tasks">) => tasks(client, ...list),
    poll: (...list: List<"poll">) => poll(client, ...list),
    forget: () => void forget(),
  });
}

type List<Name extends "page" | "pages" | "tasks" | "poll"> = Parameters<TodoClient[Name]>;

/** Looked up for each request, because frameworks and tests replace it. */
const globalFetch: Send = (request) => globalThis.fetch(request);

/** Ask for a token for each operation on tasks, and for a key for a new task. The caller's own stay. */
const prepare: Middleware = {
  onRequest({ request: { headers, method }, schemaPath }) {
    if (!schemaPath.includes("{user_id}")) return;
    if (!headers.has("Authorization")) headers.set("Authorization", TOKEN_WANTED);
    if (method !== "POST" || schemaPath !== TASKS || headers.has("Idempotency-Key")) return;
    headers.set("Idempotency-Key", createKey());
  },
};

/** Return 128 random bits. crypto.randomUUID() is missing on pages without https. */
function createKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
