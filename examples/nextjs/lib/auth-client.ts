import { createAuthClient } from "better-auth/react";

export const authClient = createAuthClient();

/** Return the JWT of the signed-in user, null if no user is signed in. */
export async function fetchToken(): Promise<string | null> {
  const response = await fetch("/api/auth/token");
  return response.ok ? (await response.json()).token : null;
}
