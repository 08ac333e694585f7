// Lists the changes from one contract to another, and those that break a client.
import { isDeepStrictEqual } from 'node:util';
import { apiCompare } from 'api-smart-diff';

/**
 * Return a line for each break, and whether anything but texts changed.
 *
 * @param {object} before - the contract that clients know
 * @param {object} after - the new contract
 * @returns {{breaks: string[], hasMeaning: boolean}}
 */
export function compare(before, after) {
  const contracts = [normalize(before), normalize(after)];
  removeEqual(...contracts.map(({ paths }) => paths), 4);
  const seen = []; // more than the changes, because api-smart-diff tries all pairs of alternatives
  const annotateHook = (diff, context) => String(seen.push(correct(diff, context)) - 1);
  const changes = apiCompare(...contracts, { annotateHook }).diffs.map(({ description }) => seen[description]);
  return {
    breaks: joinLines(changes.filter(({ type }) => type === 'breaking')),
    hasMeaning: changes.some(({ type }) => type !== 'annotation'),
  };
}

/**
 * Corrections of the verdicts of api-smart-diff 1.0.6. The first that fits decides.
 * `fits` and `breaks` get the change with `key`, the last of its path, and `inResponse`. `fits` also gets the context.
 */
const CORRECTIONS = [
  // Generated clients name functions and arguments after these.
  { fits: ({ path, key }) => key === 'operationId' || isNameOfParameter(path), breaks: () => true },
  // api-smart-diff joins the patterns of an allOf, also equal ones.
  { fits: isSamePattern, breaks: () => false },
  // api-smart-diff calls some of these changes narrower, in responses and in queries.
  { fits: ({ action, path }) => action === 'replace' && isUnordered(path), breaks: () => true },
  // api-smart-diff has this the wrong way round. Null is one more value: a client may send it, or must expect it.
  { fits: ({ key }) => key === 'nullable', breaks: ({ after, inResponse }) => inResponse === (after === true) },
  // api-smart-diff reports new or removed values if an enum is new or removed.
  { fits: isOfWholeEnum, breaks: ({ action, inResponse }) => inResponse === (action === 'remove') },
  // A removed member would be lost silently, because unknown members are ignored.
  { fits: ({ path, action }) => path.at(-2) === 'properties' && action === 'remove', breaks: () => true },
  // Clients and this server ignore unknown members, and must continue to do so.
  { fits: ({ key }) => key === 'additionalProperties', breaks: ({ inResponse, after }) => !inResponse && after === false },
  // A default does not help a client that omits a new required member.
  { fits: ({ path, action }) => path.at(-2) === 'required' && action === 'add', breaks: ({ inResponse }) => !inResponse },
  { fits: isNewInput, breaks: ({ after }) => after.required === true },
  // Only a client that sends the new header gets it.
  { fits: isNotModifiedWithNewHeader, breaks: () => false },
  // A client treats a new error status like others of its class (RFC 9110 15). It does not expect a new success.
  { fits: isNewResponse, breaks: ({ key }) => /^[123]/.test(key) },
  // Credentials are compared at each operation.
  { fits: ({ path }) => path[1] === 'securitySchemes' && path.length === 3, breaks: () => false },
  { fits: ({ path }) => path[0] === 'servers', breaks: ({ key, action }) => key === 'url' || action === 'remove' },
];

/** Return whether the change is in a text, or for this server only. A property may have such a name too. */
function isText(path) {
  const words = /^(description|summary|examples?|links|tags|externalDocs|x-.*)$/;
  return path.some((key, index) => words.test(key) && path[index - 1] !== 'properties');
}

function isNameOfParameter(path) {
  return path[3] === 'parameters' && path.length === 6 && path[5] === 'name';
}

/** Return whether the values of the keyword have no order. */
function isUnordered(path) {
  return /^(type|format|pattern)$/.test(path.at(-1)) || path.at(-2) === 'enum';
}

function isOfWholeEnum({ path, action }, { before, after }) {
  return path.at(-2) === 'enum' && (action === 'add' ? before : after).parent.length === 0;
}

function isSamePattern({ key, action, before, after }) {
  return key === 'pattern' && action === 'replace' && removeRepetition(before) === removeRepetition(after);
}

/** Return the pattern p of (?=p)(?=p). */
function removeRepetition(pattern) {
  return /^\(\?=(.*)\)(\(\?=\1\))+$/s.exec(pattern)?.[1] ?? pattern;
}

/** Return whether the change is a 304 that comes together with an optional If-None-Match. */
function isNotModifiedWithNewHeader(change, { before, after }) {
  if (!isNewResponse(change) || change.key !== '304') return false;
  const [old, now] = [before, after].map(({ root }) => findHeader(root, change.path, 'If-None-Match'));
  return old === undefined && now !== undefined && !now.required;
}

function findHeader({ paths }, [, url, method], name) {
  return paths[url]?.[method]?.parameters?.find((found) => found.in === 'header' && found.name === name);
}

function isNewInput({ path, key, action }) {
  return action === 'add' && (path.length === 4 ? key === 'requestBody' : path.length === 5 && path[3] === 'parameters');
}

function isNewResponse({ path, action }) {
  return action === 'add' && path.length === 5 && path[3] === 'responses';
}

/** Return the change with its corrected type, and the name of its parameter. */
function correct(diff, context) {
  const { path, action } = diff;
  const change = { ...diff, key: path.at(-1), inResponse: path[3] === 'responses' };
  return { ...change, type: findType(change, context), parameter: findParameterName(action, context) };
}

/** Return breaking, non-breaking, deprecated, or annotation for texts. An unclassified change is breaking. */
function findType(change, context) {
  if (isText(change.path)) return 'annotation';
  const correction = CORRECTIONS.find(({ fits }) => fits(change, context));
  if (correction) return correction.breaks(change) ? 'breaking' : 'non-breaking';
  return change.type === 'unclassified' ? 'breaking' : change.type;
}

/** Return the name of the parameter of a change, because positions in lists differ between contracts. */
function findParameterName(action, { before, after }) {
  const { root, path } = action === 'add' ? after : before;
  return path[3] === 'parameters' ? path.slice(0, 5).reduce((part, key) => part[key], root).name : undefined;
}

/**
 * Return the contract without references, because api-smart-diff treats shared responses as part of a request.
 * Credentials and headers become parameters and bodies, because api-smart-diff does not compare them otherwise.
 */
function normalize(contract) {
  const { components, paths, security, ...rest } = resolve(contract, contract);
  const schemes = components?.securitySchemes ?? {};
  for (const { parameters: shared = [], ...item } of Object.values(paths)) {
    for (const operation of Object.values(item).filter(({ responses }) => responses)) {
      const credentials = toParameter(operation.security ?? security ?? [], Object.keys(schemes));
      operation.parameters = [...(operation.parameters ?? []), ...shared, credentials];
      delete operation.security;
      Object.values(operation.responses).forEach(putHeadersIntoContent);
    }
  }
  for (const path of Object.values(paths)) delete path.parameters;
  return { ...rest, paths, components: { securitySchemes: schemes } };
}

function resolve(part, root) {
  if (typeof part !== 'object' || part === null) return part;
  if (Array.isArray(part)) return part.map((item) => resolve(item, root));
  if (typeof part.$ref === 'string') {
    return resolve(part.$ref.slice(2).split('/').reduce((found, name) => found[name], root), root);
  }
  return unwrap(Object.fromEntries(Object.entries(part).map(([name, value]) => [name, resolve(value, root)])));
}

/** Replace an allOf with one schema by that schema, and what is not not a schema too. */
function unwrap({ not, ...part }) {
  if (not?.not) return unwrap({ ...part, allOf: [...(part.allOf ?? []), not.not] });
  return unwrapAllOf(not ? { ...part, not } : part);
}

function unwrapAllOf({ allOf, ...part }) {
  if (allOf?.length === 1 && !Object.keys(allOf[0]).some((name) => name in part)) return { ...part, ...allOf[0] };
  return allOf ? { ...part, allOf } : part;
}

/** Return the credentials as a parameter with an enum. An operation without security accepts any. */
function toParameter(security, schemes) {
  const ways = security.map((way) => Object.keys(way).sort().join(' and '));
  const isOpen = ways.length === 0 || ways.includes('');
  const values = isOpen ? ['none', ...schemes] : ways;
  return { name: 'Authorization', in: 'header', required: true, schema: { type: 'string', enum: values } };
}

/** Turn the headers of a response into an object with required and optional members. */
function putHeadersIntoContent(response) {
  const headers = Object.entries(response.headers ?? {});
  const properties = Object.fromEntries(headers.map(([name, { schema }]) => [name, schema]));
  const required = headers.filter(([, header]) => header.required).map(([name]) => name);
  response.content = { ...response.content, headers: { schema: { type: 'object', properties, required } } };
  delete response.headers;
}

/** Remove the equal parts of both, down to single responses. Comparing everything takes a second. */
function removeEqual(before, after, depth) {
  for (const key of Object.keys(before).filter((name) => Object.hasOwn(after, name))) {
    if (isDeepStrictEqual(before[key], after[key])) {
      delete before[key];
      delete after[key];
    } else if (depth > 1 && [before, after].every((part) => part[key].constructor === Object)) {
      removeEqual(before[key], after[key], depth - 1);
    }
  }
}

/** Join the same change in many places to one line. */
function joinLines(changes) {
  const places = new Map();
  for (const change of changes) {
    const [place, what] = describe(change);
    places.set(what, [...(places.get(what) ?? []), place]);
  }
  return [...places].map(([what, [first, ...more]]) => {
    const others = more.length ? ` and ${more.length} more` : '';
    return `${first}${others}: ${what}`;
  });
}

/** Return the place of a change and its description. */
function describe(change) {
  const { path, action, before, after } = change;
  const [place, names] = locate(change);
  const isItem = typeof path.at(-1) === 'number' && path.length > 5;
  const what = (isItem ? [...names.slice(0, -1), abbreviate(after ?? before)] : names).join(' ');
  if (action === 'replace') return [place, `${what} was ${abbreviate(before)}, is ${abbreviate(after)}`];
  return [place, `${what} ${action === 'add' ? 'is new' : 'is gone'}`];
}

/** Return the operation, with the status of a response, and the names inside it. */
function locate({ path, parameter }) {
  if (path[0] !== 'paths') return ['Every operation', path.filter((key) => key !== 'components')];
  const [, url, method, part, which, ...inside] = path;
  const operation = `${method.toUpperCase()} ${url}`;
  if (part === undefined) return [operation, ['the operation']];
  if (part === 'responses') return [`${operation}, response ${which}`, inside.length ? removeNoise(inside) : ['the response']];
  return [operation, parameter ? [`parameter ${parameter}`, ...removeNoise(inside)] : removeNoise(path.slice(3))];
}

/** Return the path without the keys that do not help a reader: `title maxLength`. */
function removeNoise(path) {
  const isNoise = /^(content|schema|properties|application\/(problem\+)?json)$/;
  return path.filter((key, index) => index === path.length - 1 || !isNoise.test(key));
}

function abbreviate(value) {
  return JSON.stringify(value).slice(0, 200);
}
