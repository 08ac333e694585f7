/** Repeats requests where that is safe. */

/** Sends a request, as `fetch` does. */
export type Send = (request: Request) => Promise<Response>;

const MAX_WAIT_S = 10; // a user is waiting
const FIRST_WAIT_MS = 300; // doubled for each retry: five retries take about 9 s, longer than a restart of the server

/**
 * Return a `send` that repeats a request up to `retries` times if there is no response, or if the response has a
 * `Retry-After`, and if the request may be repeated.
 */
export function retrying(send: Send, retries: number): Send {
  const attempt = async (request: Request, tried: number, limit: number): Promise<Response> => {
    const isLast = tried >= limit;
    const sent = send(request.clone());
    const response = isLast ? await sent : await sent.catch(() => undefined);
    if (response && (isLast || !asksToWait(response))) return tried ? settle(request, response) : response;
    await response?.body?.cancel();
    const wait_ms = response ? readRetryAfter(response) * 1000 : FIRST_WAIT_MS * 2 ** tried * (0.5 + Math.random());
    await pause(wait_ms, request.signal); // throws if the caller has aborted the request
    return attempt(request, tried + 1, limit);
  };
  return async (request) => attempt(request, 0, retries && (await isRepeatable(request)) ? retries : 0);
}

/** Return the result of `promise`. Throw the reason of the signal as soon as the signal is aborted. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => (stop = () => reject(signal.reason)));
  signal.addEventListener("abort", stop);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/**
 * Return whether two of these requests have the effect of one: a POST with a key, a refresh, and a change with
 * If-Match. A toggle, which is a PATCH without a member, has another effect each time.
 */
async function isRepeatable(request: Request): Promise<boolean> {
  const { method, headers, url } = request;
  if (method === "GET" || method === "HEAD") return true;
  if (method === "POST") return headers.has("Idempotency-Key") || /\/api\/auth\/(refresh|logout)$/.test(url);
  if (!headers.has("If-Match")) return false;
  return method === "DELETE" || (method === "PATCH" && Object.keys(await readChanges(request)).length > 0);
}

async function readChanges(request: Request): Promise<Record<string, unknown>> {
  return (await request.clone().json().catch(() => null)) ?? {};
}

/**
 * Return the response to a request that was repeated. The server may have executed it before, and its response was
 * lost: then a deleted task is missing, and a changed task has another version, but is as the request wants it.
 */
async function settle(request: Request, response: Response): Promise<Response> {
  const { method } = request;
  if (method === "DELETE" && response.status === 404) return new Response(null, { status: 204 });
  if (method !== "PATCH" || response.status !== 412) return response;
  const { current } = await response.clone().json();
  const changes = Object.entries(await readChanges(request)).filter(([name]) => name in current);
  if (!changes.every(([name, value]) => current[name] === value)) return response;
  return new Response(JSON.stringify(current), { status: 200, headers: response.headers });
}

/** Return whether the server is unavailable, or executes the first request with the same key. */
function asksToWait(response: Response): boolean {
  return (response.status === 503 || response.status === 409) && readRetryAfter(response) <= MAX_WAIT_S;
}

/** Return the seconds of Retry-After, NaN without the header or for a date, which this server never sends. */
function readRetryAfter({ headers }: Response): number {
  return Number(headers.get("Retry-After") ?? NaN);
}

/** Wait. Throw the reason of the signal as soon as the signal is aborted. */
export async function pause(wait_ms: number, signal: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<void>((resolve) => (timer = setTimeout(resolve, wait_ms)));
  try {
    await unlessAborted(over, signal);
  } finally {
    clearTimeout(timer);
  }
}
