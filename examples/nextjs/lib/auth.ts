import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { nextCookies } from "better-auth/next-js";
import { jwt } from "better-auth/plugins";
import { todoUrl } from "@/lib/todo";

const origin = process.env.BETTER_AUTH_URL ?? "http://localhost:3000";

/** Users are in memory, shared by all routes of this process. Use a database of Better Auth in production. */
const shared = globalThis as { users?: Parameters<typeof memoryAdapter>[0] };
shared.users ??= { user: [], session: [], account: [], verification: [], jwks: [] };

export const auth = betterAuth({
  baseURL: origin,
  secret: process.env.BETTER_AUTH_SECRET ?? "only-for-development-" + "x".repeat(16),
  database: memoryAdapter(shared.users),
  emailAndPassword: { enabled: true },
  user: { deleteUser: { enabled: true, beforeDelete: deleteTasks } },
  plugins: [
    jwt({
      jwt: {
        issuer: origin, // JWT_ISSUER of the backend
        audience: origin, // JWT_AUDIENCE of the backend
        definePayload: ({ user }) => ({ email: user.email }),
      },
    }),
    nextCookies(),
  ],
});

/** Delete the tasks of a user before Better Auth deletes the user. */
async function deleteTasks({ id }: { id: string }, request?: Request): Promise<void> {
  const { token } = await auth.api.getToken({ headers: request!.headers });
  const url = `${todoUrl}/api/${encodeURIComponent(id)}/tasks?status=all`;
  const init = { method: "DELETE", headers: { Authorization: `Bearer ${token}` } };
  let response = await fetch(url, init);
  for (let attempt = 1; response.status === 503 && attempt < 5; attempt++) response = await fetch(url, init);
  if (!response.ok) throw new Error("The tasks are not deleted. Try again later.");
}
