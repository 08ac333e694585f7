/** Sessions with the built-in accounts of the server. */

import createClient from "openapi-fetch";
import { TodoProblem } from "./problem.js";
import { retrying, type Send } from "./retries.js";
import type { components, paths } from "./schema.js";
import type { Token } from "./tokens.js";

export type User = components["schemas"]["User"];
export type Credentials = components["schemas"]["UserInput"];
type Session = components["schemas"]["Session"];

export interface AccountsOptions {
  /** Where the contract's paths begin, for instance "https://example.com" or "https://example.com/todo". */
  baseUrl: string;
  /** Where the session survives a reload, for instance `localStorage`: every script of the page can read it there. */
  storage?: Pick<Storage, "getItem" | "setItem" | "removeItem">;
  /** Called with the user after a sign-in, and with null after a sign-out and at the end of the session. */
  onSessionChange?: (user: User | null) => void;
  /** How often a refresh is repeated, 5 by default. */
  retries?: number;
  /** Instead of the global fetch. */
  fetch?: Send;
}

/** All functions but `token` throw TodoProblem if the response is not 2xx. */
export interface Accounts {
  /** The user who is signed in. */
  readonly user: User | null;
  /** Create an account and sign in. */
  signUp(credentials: Credentials): Promise<User>;
  logIn(credentials: Credentials): Promise<User>;
  /** Continue the session in `storage`. Return null if there is none, or if it has ended. */
  restore(): Promise<User | null>;
  /** End the session here and on the server. */
  signOut(): Promise<void>;
  /** Change the password. All other sessions of the user end. */
  changePassword(current_password: string, new_password: string): Promise<User>;
  /** Delete the account with all tasks. */
  deleteAccount(password: string): Promise<void>;
  /** Return an access token, for `createTodoClient({ token: accounts.token })`. */
  token(rejected?: Token): Promise<Token>;
}

const KEY = "todo-session";
const MARGIN_MS = 10_000; // a token that expires in this time is refreshed

export function createAccounts(options: AccountsOptions): Accounts {
  const { baseUrl, storage, onSessionChange, retries = 5, fetch = (request) => globalThis.fetch(request) } = options;
  const client = createClient<paths>({ baseUrl, fetch: retrying(fetch, retries) });
  let current: Stored | null = null;
  let refreshing: Promise<void> | undefined;

  function keep(session: Stored | null): void {
    const isChanged = session?.user.id !== current?.user.id;
    current = session;
    if (session) storage?.setItem(KEY, JSON.stringify(session));
    else storage?.removeItem(KEY);
    if (isChanged) onSessionChange?.(session?.user ?? null);
  }

  function start({ data, error, response }: Result<Session>): User {
    if (!data) throw new TodoProblem(response, error);
    keep({ ...data, expires_at: Date.now() + data.expires_in * 1000 });
    return data.user;
  }

  /** Refresh once for all who ask at the same time, in one tab at a time. */
  function refresh(): Promise<void> {
    return (refreshing ??= inOneTab(replaceTokens).finally(() => (refreshing = undefined)));
  }

  async function replaceTokens(): Promise<void> {
    const before = current;
    const stored = read(storage);
    if (before && stored && stored.refresh_token !== before.refresh_token && isFresh(stored)) {
      current = stored; // another tab has refreshed the session
      return;
    }
    if (!before) return;
    const body = { refresh_token: stored?.refresh_token ?? before.refresh_token };
    const result = await client.POST("/api/auth/refresh", { body });
    if (current !== before) return; // signed out meanwhile
    if (result.error?.type === "urn:todo:problem:session-ended") keep(null);
    else start(result);
  }

  async function token(rejected?: Token): Promise<Token> {
    if (current && (!isFresh(current) || rejected === current.access_token)) await refresh();
    return current?.access_token;
  }

  async function authorization() {
    return { Authorization: `Bearer ${(await token()) ?? ""}` };
  }

  return {
    get user() {
      return current?.user ?? null;
    },
    async signUp(credentials) {
      const { error, response } = await client.POST("/api/auth/signup", { body: credentials });
      if (error) throw new TodoProblem(response, error);
      return start(await client.POST("/api/auth/login", { body: credentials }));
    },
    async logIn(credentials) {
      return start(await client.POST("/api/auth/login", { body: credentials }));
    },
    async restore() {
      const stored = read(storage);
      if (stored && !current) {
        current = stored;
        onSessionChange?.(stored.user);
      }
      await token();
      return current?.user ?? null;
    },
    async signOut() {
      const ended = current;
      keep(null);
      if (!ended) return;
      const { error, response } = await client.POST("/api/auth/logout", { body: { refresh_token: ended.refresh_token } });
      if (error) throw new TodoProblem(response, error);
    },
    async changePassword(current_password, new_password) {
      const body = { current_password, new_password };
      return start(await client.POST("/api/auth/change-password", { body, headers: await authorization() }));
    },
    async deleteAccount(password) {
      const headers = await authorization();
      const { error, response } = await client.POST("/api/auth/delete-account", { body: { password }, headers });
      if (error) throw new TodoProblem(response, error);
      keep(null);
    },
    token,
  };
}

/** A session with the time at which its access token expires, in milliseconds since 1970. */
type Stored = Session & { expires_at: number };
type Result<T> = { data?: T; error?: components["schemas"]["Problem"]; response: Response };

function isFresh({ expires_at }: Stored): boolean {
  return Date.now() < expires_at - MARGIN_MS;
}

function read(storage: AccountsOptions["storage"]): Stored | null {
  try {
    return JSON.parse(storage?.getItem(KEY) ?? "null");
  } catch {
    return null;
  }
}

/** Run `work` while no other tab of this origin does. Without Web Locks, the server alone keeps two tabs in step. */
async function inOneTab(work: () => Promise<void>): Promise<void> {
  const locks = globalThis.navigator?.locks;
  await (locks ? locks.request(KEY, work) : work());
}
