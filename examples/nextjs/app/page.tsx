import { headers } from "next/headers";
import { createTodoClient } from "todo-client";
import { SignIn } from "@/components/sign-in";
import { Tasks } from "@/components/tasks";
import { auth } from "@/lib/auth";
import { todoUrl } from "@/lib/todo";

const PAGE_SIZE = 20;

/** The first tasks are requested by this server, so that the page shows them before its scripts run. */
export default async function Page() {
  const requestHeaders = await headers();
  const session = await auth.api.getSession({ headers: requestHeaders });
  if (!session) return <SignIn />;
  const client = createTodoClient({
    baseUrl: todoUrl,
    token: async () => (await auth.api.getToken({ headers: requestHeaders })).token,
    fetch: (request) => fetch(request, { cache: "no-store" }),
  });
  const { id, name } = session.user;
  const { tasks } = await client.page(id, { limit: PAGE_SIZE });
  return <Tasks todoUrl={todoUrl} userId={id} name={name} first={tasks} pageSize={PAGE_SIZE} />;
}
