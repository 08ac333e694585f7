/** What must not compile. Nothing of this runs: each line below an `@ts-expect-error` is wrong. */

import { createTodoClient, type Task, type TodoClient } from "todo-client";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

export const described: Same<Task["description"], string | null> = true;

export async function wrong(client: TodoClient) {
  const path = { user_id: "ada", task_id: 42 };
  const params = { path };

  // @ts-expect-error: a client has a server
  createTodoClient({});
  // @ts-expect-error: a token is a string
  createTodoClient({ baseUrl: "", token: 42 });
  // @ts-expect-error: no such path
  await client.GET("/api/tasks");
  // @ts-expect-error: no such method there
  await client.POST("/api/{user_id}/tasks/{task_id}", { params });
  // @ts-expect-error: whose tasks?
  await client.GET("/api/{user_id}/tasks");
  // @ts-expect-error: a task's id is a number
  await client.GET("/api/{user_id}/tasks/{task_id}", { params: { path: { user_id: "ada", task_id: "42" } } });
  // @ts-expect-error: no such status
  await client.GET("/api/{user_id}/tasks", { params: { path, query: { status: "open" } } });
  // @ts-expect-error: a task has a title
  await client.POST("/api/{user_id}/tasks", { params, body: { completed: true } });
  // @ts-expect-error: a change has a body
  await client.PATCH("/api/{user_id}/tasks/{task_id}", { params });
  // @ts-expect-error: a title is a string
  await client.PATCH("/api/{user_id}/tasks/{task_id}", { params, body: { title: null } });
  // @ts-expect-error: an entity tag is a string
  await client.DELETE("/api/{user_id}/tasks/{task_id}", { params: { path, header: { "If-Match": 7 } } });
  // @ts-expect-error: tasks are ordered by title, not by name
  client.tasks("ada", { sort: "name" });

  const { data, error } = await client.GET("/api/{user_id}/tasks/{task_id}", { params });
  // @ts-expect-error: there may be a problem instead
  data.title;
  // @ts-expect-error: a problem has no message
  error?.message;
}
