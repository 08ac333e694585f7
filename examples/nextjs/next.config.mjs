import { fileURLToPath } from "node:url";

/** The client is a folder of the same repository. */
const outputFileTracingRoot = fileURLToPath(new URL("../..", import.meta.url));

export default { outputFileTracingRoot };
