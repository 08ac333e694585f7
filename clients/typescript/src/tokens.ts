/** Adds the token to requests, and gets another one if the token is rejected. */

import { type Send, unlessAborted } from "./retries.js";

/** A bearer token; none if no user is signed in. */
export type Token = string | null | undefined;

/** A token, or a function that returns one. The function gets the token that was rejected, if there is one. */
export type TokenSource = Token | ((rejected?: Token) => Token | Promise<Token>);

/** The value of Authorization in a request that needs a token. `authenticated` replaces it. */
export const TOKEN_WANTED = "Bearer";

const REJECTED = "urn:todo:problem:invalid-token";

/**
 * Return a `send` that adds the token, and a function that forgets the cached token.
 *
 * A request with a rejected token is sent once more with another token, because a 401 changes nothing. If there is no
 * other token, or it is rejected too, `onUnauthenticated` is called. The token of another user than that of the path
 * is replaced before the request is sent.
 */
export function authenticated(send: Send, source: TokenSource, onUnauthenticated?: () => void) {
  const tokens = cached(source);
  const sendWithToken: Send = async (request) => {
    if (request.headers.get("Authorization") !== TOKEN_WANTED) return send(request);
    const { signal } = request;
    let used = tokens.get();
    let token = await unlessAborted(used, signal);
    if (isOfAnotherUser(token, request.url)) {
      used = tokens.replace(used, token);
      token = await unlessAborted(used, signal);
    }
    const response = await send(withToken(request, token));
    if (response.status !== 401) return response;
    const next = (await isRejected(response)) ? await unlessAborted(tokens.replace(used, token), signal) : token;
    const last = next === token ? response : await sendInstead(response, withToken(request, next), send);
    if (last.status === 401) onUnauthenticated?.();
    return last;
  };
  return { send: sendWithToken, forget: tokens.forget };
}

/** Cache the token until it is rejected. Requests that are rejected at the same time share the next token. */
function cached(source: TokenSource) {
  let current: Promise<Token> | undefined;
  const ask = (rejected?: Token): Promise<Token> => {
    const asked = Promise.resolve().then(() => (typeof source === "function" ? source(rejected) : source));
    const forgetIt = () => current === asked && (current = undefined);
    asked.then((token) => token || forgetIt(), forgetIt); // no token and an error are not cached
    return (current = asked);
  };
  return {
    get: () => current ?? ask(),
    replace: (used: Promise<Token>, rejected: Token) => (current && current !== used ? current : ask(rejected)),
    forget: () => (current = undefined),
  };
}

/** Return whether the server rejects this token. A 401 for a wrong password has another type. */
async function isRejected(response: Response): Promise<boolean> {
  const problem: { type?: unknown } | null = await response.clone().json().catch(() => null);
  return problem?.type === REJECTED;
}

function isOfAnotherUser(token: Token, url: string): boolean {
  const user = /\/api\/([^/]+)\/tasks/.exec(url)?.[1];
  const subject = token ? readSubject(token) : undefined;
  return user !== undefined && subject !== undefined && decodeURIComponent(user) !== subject;
}

/** Return the claim `sub` of a JWT, undefined for another text. */
function readSubject(token: string): string | undefined {
  try {
    const payload = atob((token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/"));
    const bytes = Uint8Array.from(payload, (character) => character.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)).sub;
  } catch {
    return undefined;
  }
}

/** Return a copy of the request with the token. A body can be sent only once, and may be needed again. */
function withToken(request: Request, token: Token): Request {
  const copy = request.clone();
  if (token) copy.headers.set("Authorization", `Bearer ${token}`);
  else copy.headers.delete("Authorization");
  return copy;
}

async function sendInstead(rejected: Response, request: Request, send: Send): Promise<Response> {
  await rejected.body?.cancel(); // so that its connection can be used again
  return send(request);
}
