// The options of Swagger UI are in contract/docs.py.
const ui = SwaggerUIBundle({
  dom_id: "#swagger-ui",
  configUrl: "swagger-ui-config.json",
  plugins: [showFirstSteps, foldErrors, fillUser],
  onComplete: () => fillUserId(ui.getSystem()),
});

/** Show the first steps of index.html below the title. */
function showFirstSteps({ React }) {
  const steps = document.getElementById("first-steps");
  const insert = (parent) => {
    parent?.append(steps);
    steps.hidden = false;
  };
  const addSteps = (Info) => (props) =>
    React.createElement("div", null, React.createElement(Info, props), React.createElement("div", { ref: insert }));
  return { wrapComponents: { info: addSteps } };
}

/** Show a response other than 2xx as one line. A click shows the whole response. */
function foldErrors({ React }) {
  const element = React.createElement;
  const fold = (Response) => (props) => {
    const [isOpen, setOpen] = React.useState(/^2/.test(props.code));
    if (isOpen) return element(Response, props);
    const description = props.response.get("description").replaceAll("`", "");
    const button = { className: "folded-response", "aria-expanded": false, onClick: () => setOpen(true) };
    return element(
      "tr",
      { className: "response", "data-code": props.code },
      element("td", { className: "response-col_status" }, props.code),
      element("td", { colSpan: 2 }, element("button", button, description)),
    );
  };
  return { wrapComponents: { response: fold } };
}

/** Fill in the user of the token wherever an operation has a user_id. */
function fillUser() {
  const fillAfter = (original, system) => (payload) => {
    const result = original(payload);
    fillUserId(system);
    return result;
  };
  return { statePlugins: { auth: { wrapActions: { authorize: fillAfter } } } };
}

function fillUserId({ authSelectors, specActions, specSelectors }) {
  const userId = readSubject(authSelectors.authorized().getIn(["bearer", "value"]));
  if (userId === undefined) return;
  for (const operation of specSelectors.operations()) {
    const [path, method] = [operation.get("path"), operation.get("method")];
    if (path.includes("{user_id}")) specActions.changeParam([path, method], "user_id", "path", userId, false);
  }
}

/** Return the claim `sub` of a JWT, undefined for another text. */
function readSubject(token) {
  try {
    const bytes = Uint8Array.from(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)).sub;
  } catch {
    return undefined;
  }
}
