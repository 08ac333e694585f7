import "server-only";

/** The URL of the backend, for this server and for browsers. */
export const todoUrl = process.env.TODO_URL ?? "http://127.0.0.1:8000";
