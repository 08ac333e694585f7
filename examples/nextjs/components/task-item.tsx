"use client";

import { type FormEvent, useState } from "react";
import type { Task, TaskChanges, TodoClient } from "todo-client";

const TASK = "/api/{user_id}/tasks/{task_id}";

/** One task. `onChange` gets the changed task, or undefined after a deletion. */
export function TaskItem(props: { task: Task; client: TodoClient; onChange: (changed: Task | undefined) => void }) {
  const { task, client, onChange } = props;
  const [edited, setEdited] = useState<Task>();
  const [error, setError] = useState("");
  const params = (version: number) => ({
    path: { user_id: task.user_id, task_id: task.id },
    header: { "If-Match": `"${version}"` },
  });

  /** Show the change at once. Show what the server has if it rejects the change. */
  async function change(changes: TaskChanges, version: number) {
    setError("");
    onChange({ ...task, ...changes });
    const { data, error } = await client.PATCH(TASK, { params: params(version), body: changes });
    onChange(data ?? error?.current ?? task);
    if (data) setEdited(undefined);
    else if (error?.current) setEdited(error.current); // the user decides again, on the current state
    setError(error?.detail ?? "");
  }

  async function remove() {
    const { error } = await client.DELETE(TASK, { params: params(task.version) });
    if (error) onChange(error.current ?? task);
    else onChange(undefined);
    setError(error?.detail ?? "");
  }

  function save(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const title = String(new FormData(event.currentTarget).get("title"));
    run(change({ title }, edited?.version ?? task.version));
  }

  const run = (work: Promise<void>) =>
    work.catch(() => {
      onChange(task);
      setError("The change is not stored. Try again.");
    });

  return (
    <li className={task.version === 0 ? "draft" : undefined}>
      <input
        type="checkbox"
        aria-label={`Complete ${task.title}`}
        checked={task.completed}
        onChange={({ target }) => run(change({ completed: target.checked }, task.version))}
      />
      {edited ? (
        <form onSubmit={save}>
          <input name="title" aria-label="New title" defaultValue={edited.title} key={edited.version} autoFocus />
          <button>Save</button>
          <button type="button" className="link" onClick={() => setEdited(undefined)}>Cancel</button>
        </form>
      ) : (
        <>
          <span>{task.title}</span>
          <button className="link" aria-label={`Edit ${task.title}`} onClick={() => setEdited(task)}>Edit</button>
          <button className="link" aria-label={`Delete ${task.title}`} onClick={() => run(remove())}>Delete</button>
        </>
      )}
      {error && <p role="alert">{error}</p>}
    </li>
  );
}
