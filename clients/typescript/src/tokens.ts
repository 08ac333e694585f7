/** Puts the token on requests, and a fresh one where it was refused. */

import { type Send, unlessAborted } from "./retries.js";

/** A bearer token; none when nobody is signed in. */
export type Token = string | null | undefined;

/** A token, or what gives one whenever it is needed. */
export type TokenSource = Token | (() => Token | Promise<Token>);

/** Stands in a request where its token will be: only who knows the operation knows whether it takes one. */
export const TOKEN_WANTED = "Bearer";

/**
 * `send`, but with the token where one is wanted. Refused with 401, which means that nothing was done, the
 * request is sent once more with a fresh token, if there is one; refused again, `onUnauthenticated` is told.
 */
export function authenticated(send: Send, source: TokenSource, onUnauthenticated?: () => void): Send {
  const tokens = remembered(source);
  return async (request) => {
    if (request.headers.get("Authorization") !== TOKEN_WANTED) return send(request);
    const given = tokens.current();
    const token = await unlessAborted(given, request.signal);
    const response = await send(withToken(request, token));
    if (response.status !== 401) return response;
    const fresh = await unlessAborted(tokens.after(given), request.signal);
    const last = fresh === token ? response : await sendInstead(response, withToken(request, fresh), send);
    if (last.status === 401) onUnauthenticated?.();
    return last;
  };
}

/** Remembers the token until it is refused. Those who are refused at the same time ask once together. */
function remembered(source: TokenSource) {
  let current: Promise<Token> | undefined;
  const ask = (): Promise<Token> => {
    const asked = Promise.resolve().then(() => (typeof source === "function" ? source() : source));
    asked.catch(() => current === asked && (current = undefined)); // a failure is not remembered
    return (current = asked);
  };
  return {
    current: () => current ?? ask(),
    after: (refused: Promise<Token>) => (current && current !== refused ? current : ask()),
  };
}

/** The request with its token. A copy: a body can be sent only once, and it may be needed again. */
function withToken(request: Request, token: Token): Request {
  const copy = request.clone();
  if (token) copy.headers.set("Authorization", `Bearer ${token}`);
  else copy.headers.delete("Authorization");
  return copy;
}

async function sendInstead(refused: Response, request: Request, send: Send): Promise<Response> {
  await refused.body?.cancel(); // its connection is free for the next
  return send(request);
}
