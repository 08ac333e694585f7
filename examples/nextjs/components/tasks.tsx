"use client";

import { useRouter } from "next/navigation";
import { type FormEvent, useMemo, useState } from "react";
import { createTodoClient, type Task } from "todo-client";
import { TaskItem } from "@/components/task-item";
import { useTasks } from "@/components/use-tasks";
import { authClient, fetchToken } from "@/lib/auth-client";

const TASKS = "/api/{user_id}/tasks";

type Props = { todoUrl: string; userId: string; name: string; first: Task[]; pageSize: number };

export function Tasks({ todoUrl, userId, name, first, pageSize }: Props) {
  const router = useRouter();
  const client = useMemo(
    () => createTodoClient({ baseUrl: todoUrl, token: fetchToken, onUnauthenticated: () => router.refresh() }),
    [todoUrl, router],
  );
  const { tasks, setTasks, isOffline, showMore } = useTasks(client, userId, first, pageSize);
  const [error, setError] = useState("");
  const path = { user_id: userId };

  /** Show the task at once. Replace it by the stored one, or remove it if it is rejected. */
  async function create(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const title = String(new FormData(form).get("title"));
    const now = new Date().toISOString();
    const draft = { id: -Date.now(), user_id: userId, title, description: null, completed: false, version: 0 };
    setTasks((shown) => [{ ...draft, created_at: now, updated_at: now }, ...shown]);
    const { data, error } = await client.POST(TASKS, { params: { path }, body: { title } });
    setTasks((shown) => shown.flatMap((task) => (task.id !== draft.id ? task : (data ?? []))));
    setError(error?.errors?.find(({ pointer }) => pointer === "/title")?.detail ?? error?.detail ?? "");
    if (data) form.reset();
  }

  async function clear(status: "completed" | "all") {
    const { error } = await client.DELETE(TASKS, { params: { path, query: { status } } });
    setError(error?.detail ?? "");
    if (!error) setTasks((shown) => shown.filter(({ completed }) => status === "completed" && !completed));
  }

  async function leave(how: "signOut" | "deleteUser") {
    const { error } = how === "signOut" ? await authClient.signOut() : await authClient.deleteUser();
    if (error) return setError(error.message ?? "Try again.");
    client.forget();
    router.refresh();
  }

  return (
    <>
      <header>
        <h1>{name}’s tasks</h1>
        <button onClick={() => leave("signOut")}>Sign out</button>
      </header>
      {isOffline && <p role="status">The server cannot be reached. Changes wait until it is back.</p>}
      <form className="add" onSubmit={(event) => create(event).catch(() => setError("The task is not stored. Try again."))}>
        <input name="title" aria-label="Title" placeholder="What is to be done?" aria-invalid={error !== ""} />
        <button>Add</button>
      </form>
      {error && <p role="alert">{error}</p>}
      <ul>
        {tasks.map((task) => (
          <TaskItem
            key={task.id}
            task={task}
            client={client}
            onChange={(changed) => setTasks((shown) => shown.flatMap((one) => (one.id === task.id ? (changed ?? []) : one)))}
          />
        ))}
      </ul>
      {tasks.length === 0 && <p>There are no tasks.</p>}
      {showMore && <button onClick={showMore}>Show more</button>}
      <footer>
        <button className="link" onClick={() => clear("completed")}>Delete completed</button>
        <button className="link" onClick={() => clear("all")}>Delete all my tasks</button>
        <button className="link" onClick={() => leave("deleteUser")}>Delete my account</button>
      </footer>
    </>
  );
}
