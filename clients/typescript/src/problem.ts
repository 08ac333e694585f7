/** What went wrong, as something to throw. */

import type { components } from "./schema.js";

/** RFC 9457: `type` is made for programs, `detail` for people. */
export type Problem = components["schemas"]["Problem"];

/** An answer that is not 2xx: `if (!data) throw new TodoProblem(response, error)`. */
export class TodoProblem extends Error {
  override readonly name = "TodoProblem";
  readonly status: number;
  /** What the server said; undefined when something before it answered, such as a proxy. */
  readonly problem: Problem | undefined;
  /** Finds the request in the server's log. */
  readonly requestId: string | undefined;

  constructor(response: Response, error: unknown) {
    const problem = isProblem(error) ? error : undefined;
    super(problem ? `${problem.title}: ${problem.detail}` : `the answer is ${response.status}`);
    this.status = response.status;
    this.problem = problem;
    this.requestId = problem?.request_id;
  }
}

function isProblem(error: unknown): error is Problem {
  return typeof error === "object" && error !== null && "type" in error && "request_id" in error;
}
