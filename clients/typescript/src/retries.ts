/** When a request may be sent once more, and how long to wait before. */

/** Sends a request: what `fetch` does. */
export type Send = (request: Request) => Promise<Response>;

const LONGEST_WAIT_S = 10; // a person is waiting; who asks for more is answered at once
const FIRST_WAIT_MS = 300; // doubled each time

/**
 * `send`, but where that is safe a request that got no answer, or one that says when to come back,
 * is sent again, up to `retries` times. What the last of them gives is handed on, whatever it is.
 */
export function retrying(send: Send, retries: number): Send {
  const attempt = async (request: Request, tried: number): Promise<Response> => {
    if (tried >= retries) return send(request);
    const response = await send(request.clone()).catch(() => undefined);
    if (response && !asksToWait(response)) return response;
    await response?.body?.cancel();
    const wait_ms = response ? secondsAsked(response) * 1000 : FIRST_WAIT_MS * 2 ** tried;
    await pause(wait_ms, request.signal); // throws if there is no response because the caller aborted
    return attempt(request, tried + 1);
  };
  return (request) => attempt(request, isRepeatable(request) ? 0 : retries);
}

/** `promise`, which is no longer waited for once the signal is aborted: that rejects with its reason. */
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

/** Whether sending it twice does no more than sending it once. A POST with a key is carried out once. */
function isRepeatable({ method, headers }: Request): boolean {
  return method === "GET" || method === "HEAD" || (method === "POST" && headers.has("Idempotency-Key"));
}

/** 503 is a server that cannot now; 409 with Retry-After, a first request with this key that is under way. */
function asksToWait(response: Response): boolean {
  return (response.status === 503 || response.status === 409) && secondsAsked(response) <= LONGEST_WAIT_S;
}

/** NaN when none are asked for, or a date, which this server never sends. */
function secondsAsked({ headers }: Response): number {
  return Number(headers.get("Retry-After") ?? NaN);
}

async function pause(wait_ms: number, signal: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<void>((resolve) => (timer = setTimeout(resolve, wait_ms)));
  try {
    await unlessAborted(over, signal);
  } finally {
    clearTimeout(timer);
  }
}
