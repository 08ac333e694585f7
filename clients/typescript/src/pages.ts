/** All tasks of a list, page by page. */

import type { Client } from "openapi-fetch";
import { TodoProblem } from "./problem.js";
import type { components, paths } from "./schema.js";

export type Task = components["schemas"]["Task"];

/** Which tasks, in which order, and how many to a page. */
export type TaskQuery = NonNullable<paths[typeof TASKS]["get"]["parameters"]["query"]>;

/** What of fetch's own options the requests for pages take. */
export type PageOptions = { signal?: AbortSignal };

export const TASKS = "/api/{user_id}/tasks";

/** A page, and the next when the caller comes back for it. Throws TodoProblem when one is not 2xx. */
export async function* pages(
  client: Client<paths>,
  user_id: string,
  query: TaskQuery = {},
  options: PageOptions = {},
): AsyncGenerator<Task[], void, undefined> {
  const path = { user_id };
  let answer = await client.GET(TASKS, { ...options, params: { path, query } });
  for (;;) {
    if (!answer.data) throw new TodoProblem(answer.response, answer.error);
    yield answer.data;
    const next = nextPath(answer.response);
    if (!next) return;
    answer = await client.GET(TASKS, { ...options, params: { path }, pathSerializer: into(next) });
  }
}

/** The tasks of `pages`, one by one. */
export async function* tasks(...list: Parameters<typeof pages>): AsyncGenerator<Task, void, undefined> {
  for await (const page of pages(...list)) yield* page;
}

/** Where the next page is: always a path that begins where the contract's do, so never another server. */
function nextPath(response: Response): string | undefined {
  return /<(\/api\/[^>]+)>; rel="next"/.exec(response.headers.get("Link") ?? "")?.[1];
}

/**
 * Puts the path there as it is. The server knows only the contract's paths; what a proxy has before them
 * is in `baseUrl` alone, which stays.
 */
function into(next: string): (url: string) => string {
  return (url) => url.slice(0, -TASKS.length) + next;
}
