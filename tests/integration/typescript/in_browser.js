/** In the page: a task whose token is over and whose answer is lost, a change that comes too late, and two pages. */
async ({ baseUrl, user_id, tokens: [expired, valid] }) => {
  const { createTodoClient } = await import("todo-client");
  const list = "/api/{user_id}/tasks";
  const sent = [];
  const fetch = async (request) => {
    const answer = await globalThis.fetch(request);
    if (sent.push(answer.status) === 2) throw new TypeError("the answer is lost");
    return answer;
  };
  const given = [expired];
  const client = createTodoClient({ baseUrl, fetch, token: () => given.pop() ?? valid });
  const params = { path: { user_id } };
  const { data: milk, response } = await client.POST(list, { params, body: { title: "Buy milk" } });
  await client.POST(list, { params, body: { title: "Buy tea" } });

  const header = { "If-Match": response.headers.get("ETag") };
  const one = { params: { path: { user_id, task_id: milk.id }, header }, body: { title: "Buy oat milk" } };
  for (const _ of [1, 2]) await client.PATCH(`${list}/{task_id}`, one);

  const titles = [];
  for await (const { title } of client.tasks(user_id, { limit: 1, sort: "title" })) titles.push(title);
  const located = response.headers.get("Location") === `/api/${user_id}/tasks/${milk.id}`;
  return { secure: isSecureContext, located, sent, titles };
};
