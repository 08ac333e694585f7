/** A problem as an error to throw. */

import type { components } from "./schema.js";

/** The types of the contract's `x-problem-types`. A later version of the server may send others. */
export type ProblemType =
  | 'urn:todo:problem:invalid-request'
  | 'urn:todo:problem:unreadable'
  | 'urn:todo:problem:unauthenticated'
  | 'urn:todo:problem:invalid-token'
  | 'urn:todo:problem:wrong-credentials'
  | 'urn:todo:problem:session-ended'
  | 'urn:todo:problem:forbidden'
  | 'urn:todo:problem:preflight-refused'
  | 'urn:todo:problem:not-found'
  | 'urn:todo:problem:outside-issuer'
  | 'urn:todo:problem:method-not-allowed'
  | 'urn:todo:problem:request-timeout'
  | 'urn:todo:problem:email-taken'
  | 'urn:todo:problem:key-in-use'
  | 'urn:todo:problem:stale-version'
  | 'urn:todo:problem:too-large'
  | 'urn:todo:problem:uri-too-long'
  | 'urn:todo:problem:unsupported-media-type'
  | 'urn:todo:problem:weak-password'
  | 'urn:todo:problem:wrong-password'
  | 'urn:todo:problem:key-reused'
  | 'urn:todo:problem:too-many-tasks'
  | 'urn:todo:problem:too-many-requests'
  | 'urn:todo:problem:headers-too-large'
  | 'urn:todo:problem:internal-error'
  | 'urn:todo:problem:unavailable'
  | (string & {});

/** RFC 9457: `type` is for programs. `detail` can be shown to the user as it is. */
export type Problem = components["schemas"]["Problem"] & { type: ProblemType };

/** A response that is not 2xx: `if (!data) throw new TodoProblem(response, error)`. */
export class TodoProblem extends Error {
  override readonly name = "TodoProblem";
  readonly status: number;
  /** The body; undefined if the response is not the server's, but for example a proxy's. */
  readonly problem: Problem | undefined;
  /** Identifies the request in the log of the server. */
  readonly requestId: string | undefined;

  constructor(response: Response, error: unknown) {
    const problem = isProblem(error) ? error : undefined;
    super(problem ? `${problem.title}: ${problem.detail}` : `the status is ${response.status}`);
    this.status = response.status;
    this.problem = problem;
    this.requestId = problem?.request_id;
  }
}

function isProblem(error: unknown): error is Problem {
  return typeof error === "object" && error !== null && "type" in error && "request_id" in error;
}
