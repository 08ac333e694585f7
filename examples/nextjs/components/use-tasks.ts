"use client";

import { useEffect, useState } from "react";
import type { Task, TodoClient } from "todo-client";

const RETRY_MS = 1000;

/**
 * Keep the newest tasks as the server has them, also if another tab changes them: every second they are requested with
 * If-None-Match. `showMore` adds a page; it is undefined if all tasks are shown.
 */
export function useTasks(client: TodoClient, userId: string, first: Task[], pageSize: number) {
  const [tasks, setTasks] = useState(first);
  const [limit, setLimit] = useState(pageSize);
  const [hasMore, setMore] = useState(first.length === pageSize);
  const [isOffline, setOffline] = useState(false);

  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    async function watch() {
      for await (const page of client.poll(userId, { limit }, { signal, interval_ms: 1000 })) {
        setOffline(false);
        setTasks(page.tasks);
        setMore(page.next !== undefined);
      }
    }
    async function watchForever() {
      while (!signal.aborted) {
        await watch().catch(() => signal.aborted || setOffline(true));
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
    void watchForever();
    return () => controller.abort();
  }, [client, userId, limit]);

  return { tasks, setTasks, isOffline, showMore: hasMore ? () => setLimit(limit + pageSize) : undefined };
}
