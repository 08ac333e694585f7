// A Better Auth server as a frontend has one, for the tests. Settings come from the environment:
//   PORT, BETTER_AUTH_URL, BETTER_AUTH_SECRET   as Better Auth's documentation names them
//   DATABASE_URL   a PostgreSQL, brought up to date by the library's own migrations; without it: memory
//   OPTIONS        more of betterAuth's options, as JSON
//   JWT_OPTIONS    the jwt plugin's, as JSON
//   FILES          what it serves beside, as JSON: the file for each path
//   TODO_URL       set: a deleted user's tasks are deleted there first, as docs/better-auth.md says
//   ONLY_EMAIL     set: tokens carry the email, as the README advises, and not the whole row
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname } from "node:path";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { getMigrations } from "better-auth/db/migration";
import { fromNodeHeaders, toNodeHandler } from "better-auth/node";
import { jwt } from "better-auth/plugins";
import { SignJWT } from "jose";
import pg from "pg";

const { PORT, BETTER_AUTH_URL, BETTER_AUTH_SECRET, DATABASE_URL, ONLY_EMAIL, TODO_URL } = process.env;
const { user, ...others } = JSON.parse(process.env.OPTIONS ?? "{}");
const jwtOptions = JSON.parse(process.env.JWT_OPTIONS ?? "{}");
const files = JSON.parse(process.env.FILES ?? "{}");
if (ONLY_EMAIL) jwtOptions.jwt = { definePayload: ({ user }) => ({ email: user.email }) };

const options = {
  baseURL: BETTER_AUTH_URL,
  secret: BETTER_AUTH_SECRET,
  database: DATABASE_URL
    ? new pg.Pool({ connectionString: DATABASE_URL })
    : memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] }),
  emailAndPassword: { enabled: true },
  user: { deleteUser: { enabled: true, beforeDelete: TODO_URL && deleteTasks }, ...user },
  plugins: [jwt(jwtOptions)],
  ...others,
};
if (DATABASE_URL) await (await getMigrations(options)).runMigrations();
const auth = betterAuth(options);

async function deleteTasks({ id }, request) {
  const { token } = await auth.api.getToken({ headers: request.headers });
  const url = `${TODO_URL}/api/${encodeURIComponent(id)}/tasks?status=all`;
  const response = await fetch(url, { method: "DELETE", headers: { Authorization: `Bearer ${token}` } });
  if (!response.ok) throw new Error(`the tasks are not deleted: ${response.status}`);
}

// The route of a Next.js frontend that shares its secret with the todo backend: Better Auth has no HS256.
async function mintSharedSecretToken(request, response) {
  const session = await auth.api.getSession({ headers: fromNodeHeaders(request.headers) });
  if (!session) return response.writeHead(401).end();
  const { id, email, name } = session.user;
  const token = await new SignJWT({ email, name })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setSubject(id)
    .setIssuedAt()
    .setExpirationTime("15m")
    .sign(new TextEncoder().encode(BETTER_AUTH_SECRET));
  response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify({ token }));
}

const MEDIA_TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript" };

async function sendFile(file, response) {
  response.writeHead(200, { "Content-Type": MEDIA_TYPES[extname(file)] }).end(await readFile(file));
}

const betterAuthHandler = toNodeHandler(auth);
createServer((request, response) => {
  const file = files[request.url.split("?")[0]];
  if (file) return sendFile(file, response);
  return request.url === "/api/token" ? mintSharedSecretToken(request, response) : betterAuthHandler(request, response);
}).listen(Number(PORT), "127.0.0.1");
