// A frontend as Better Auth's users write one: it signs people up at its own origin, and keeps their tasks at
// the todo backend's, which is named in the page's address (?api=...).
import { createTodoClient } from "todo-client";

const baseUrl = new URLSearchParams(location.search).get("api");
const client = createTodoClient({ baseUrl, token: async () => (await ask("/api/auth/token")).token });
const list = document.querySelector("#tasks");
const one = "/api/{user_id}/tasks/{task_id}";
let user_id;

async function ask(path, options) {
  return (await fetch(path, options)).json();
}

async function signUp({ email, password }) {
  const body = JSON.stringify({ name: "Ada", email, password });
  const headers = { "Content-Type": "application/json" };
  user_id = (await ask("/api/auth/sign-up/email", { method: "POST", headers, body })).user.id;
  await show();
}

async function show() {
  list.replaceChildren(...(await Array.fromAsync(client.tasks(user_id), shown)));
}

function shown({ id: task_id, title, completed }) {
  const params = { path: { user_id, task_id } };
  const item = document.createElement("li");
  const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: completed });
  box.onchange = () => client.PATCH(one, { params, body: { completed: box.checked } }).then(show);
  const button = Object.assign(document.createElement("button"), { textContent: "Delete" });
  button.onclick = () => client.DELETE(one, { params }).then(show);
  item.append(box, title, button);
  return item;
}

function onSubmit(form, act) {
  document.querySelector(form).onsubmit = async (event) => {
    event.preventDefault();
    await act(Object.fromEntries(new FormData(event.target)));
  };
}

onSubmit("#sign-up", signUp);
onSubmit("#add", (body) => client.POST("/api/{user_id}/tasks", { params: { path: { user_id } }, body }).then(show));
