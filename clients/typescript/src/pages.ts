/** The tasks of a user: page by page, one by one, and again and again. */

import type { Client } from "openapi-fetch";
import { TodoProblem } from "./problem.js";
import { pause } from "./retries.js";
import type { components, paths } from "./schema.js";

export type Task = components["schemas"]["Task"];

/** Which tasks, in which order, and how many in a page. */
export type TaskQuery = NonNullable<paths[typeof TASKS]["get"]["parameters"]["query"]>;

/** The options of `fetch` that requests for pages accept. */
export type PageOptions = { signal?: AbortSignal };

/** A page of tasks. `next` is the path of the next page; undefined for the last one. */
export type Page = { tasks: Task[]; next: string | undefined };

/** `interval_ms` is the pause between two requests, 5 seconds by default. */
export type PollOptions = PageOptions & { interval_ms?: number };

export const TASKS = "/api/{user_id}/tasks";

type Tasks = Client<paths>;

/** Return the first page of a list, or the page at `next`. Throw TodoProblem if the response is not 2xx. */
export async function page(
  client: Tasks,
  user_id: string,
  query: TaskQuery = {},
  options: PageOptions & { next?: string | undefined } = {},
): Promise<Page> {
  const { next, ...init } = options;
  const path = { user_id };
  const { data, error, response } = next
    ? await client.GET(TASKS, { ...init, params: { path }, pathSerializer: into(next) })
    : await client.GET(TASKS, { ...init, params: { path, query } });
  if (!data) throw new TodoProblem(response, error);
  return { tasks: data, next: findNext(response) };
}

/** Yield the tasks page by page. The next page is requested when the caller asks for it. */
export async function* pages(
  client: Tasks,
  user_id: string,
  query: TaskQuery = {},
  options: PageOptions = {},
): AsyncGenerator<Task[], void, undefined> {
  let next: string | undefined;
  do {
    const found = await page(client, user_id, query, { ...options, next });
    yield found.tasks;
    next = found.next;
  } while (next);
}

/** Yield the tasks of `pages`, one by one. */
export async function* tasks(...list: Parameters<typeof pages>): AsyncGenerator<Task, void, undefined> {
  for await (const found of pages(...list)) yield* found;
}

/**
 * Yield the first page of a list now, and again each time that it has changed, until the signal is aborted. An
 * unchanged page is a 304 without a body.
 */
export async function* poll(
  client: Tasks,
  user_id: string,
  query: TaskQuery = {},
  { interval_ms = 5000, signal = new AbortController().signal }: PollOptions = {},
): AsyncGenerator<Page, void, undefined> {
  let tag: string | undefined;
  for (;;) {
    const params = { path: { user_id }, query, header: tag ? { "If-None-Match": tag } : {} };
    const { data, error, response } = await client.GET(TASKS, { params, signal });
    if (data) yield { tasks: data, next: findNext(response) };
    else if (response.status !== 304) throw new TodoProblem(response, error);
    tag = response.headers.get("ETag") ?? undefined;
    await pause(interval_ms, signal);
  }
}

/** Return the path of the next page. It begins as all paths of the contract do, so it never names another server. */
function findNext(response: Response): string | undefined {
  return /<(\/api\/[^>]+)>; rel="next"/.exec(response.headers.get("Link") ?? "")?.[1];
}

/** Return a serializer that puts `next` in place of the path, and keeps what a proxy has before the path. */
function into(next: string): (url: string) => string {
  return (url) => url.slice(0, -TASKS.length) + next;
}

const collator = new Intl.Collator(undefined, { numeric: true });

/** Compare two tasks by title as a person sorts them: "Task 9" before "Task 10", "äpfel" beside "apple". */
export function compareTitles(one: { title: string }, other: { title: string }): number {
  return collator.compare(one.title, other.title);
}
