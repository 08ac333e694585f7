// A frontend as Better Auth's users write one: it signs people up at its own origin, and keeps their tasks at
// the todo backend's, which is named in the page's address (?api=...).
const api = new URLSearchParams(location.search).get("api");
const list = document.querySelector("#tasks");
let user;

async function signUp({ email, password }) {
  const answer = await fetch("/api/auth/sign-up/email", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ name: "Ada", email, password }),
  });
  user = (await answer.json()).user;
  await show();
}

async function call(method, path, body) {
  const { token } = await (await fetch("/api/auth/token")).json();
  const answer = await fetch(`${api}/api/${user.id}/tasks${path}`, {
    method,
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  return answer.status === 204 ? undefined : await answer.json();
}

async function show() {
  const tasks = await call("GET", "");
  list.replaceChildren(...tasks.map(shown));
}

function shown(task) {
  const item = document.createElement("li");
  const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: task.completed });
  box.onchange = () => call("PATCH", `/${task.id}`, { completed: box.checked }).then(show);
  const button = Object.assign(document.createElement("button"), { textContent: "Delete" });
  button.onclick = () => call("DELETE", `/${task.id}`).then(show);
  item.append(box, task.title, button);
  return item;
}

function onSubmit(form, act) {
  document.querySelector(form).onsubmit = async (event) => {
    event.preventDefault();
    await act(Object.fromEntries(new FormData(event.target)));
  };
}

onSubmit("#sign-up", signUp);
onSubmit("#add", ({ title }) => call("POST", "", { title }).then(show));
