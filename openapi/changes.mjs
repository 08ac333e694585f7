// What changed from one contract to another, and what of that a client would notice.
import { isDeepStrictEqual } from 'node:util';
import { apiCompare } from 'api-smart-diff';

/**
 * A line for each break, and whether anything but words changed.
 *
 * @param {object} before - the contract that clients know
 * @param {object} after - the contract that they are to get
 * @returns {{breaks: string[], hasMeaning: boolean}}
 */
export function compare(before, after) {
  const contracts = [plain(before), plain(after)];
  leaveOutEqual(...contracts.map(({ paths }) => paths), 4);
  const seen = []; // more than there are: where there are alternatives, each is tried with each
  const annotateHook = (diff, context) => String(seen.push(judged(diff, context)) - 1);
  const changes = apiCompare(...contracts, { annotateHook }).diffs.map(({ description }) => seen[description]);
  return {
    breaks: inFewLines(changes.filter(({ type }) => type === 'breaking')),
    hasMeaning: changes.some(({ type }) => type !== 'annotation'),
  };
}

/**
 * What clients notice and api-smart-diff 1.0.6 does not, and the other way round; the first that fits decides.
 * Both are given the change, with `key`, the last of its path, and `inAnswer`; `fits` also what stood around it.
 */
const CORRECTIONS = [
  // Generated clients name functions and arguments after these.
  { fits: ({ path, key }) => key === 'operationId' || isNameOfParameter(path), breaks: () => true },
  // It takes one of these for narrower, in answers and in queries.
  { fits: ({ action, path }) => action === 'replace' && isKindOfValue(path), breaks: () => true },
  // It has this the wrong way round. Null is one value more: a client may send it, or has to expect it.
  { fits: ({ key }) => key === 'nullable', breaks: ({ after, inAnswer }) => inAnswer === (after === true) },
  // It sees new and removed values where values are limited for the first time, or no longer.
  { fits: isOfWholeEnum, breaks: ({ action, inAnswer }) => inAnswer === (action === 'remove') },
  // What is no longer read would be lost without a word, since unknown members are ignored.
  { fits: ({ path, action }) => path.at(-2) === 'properties' && action === 'remove', breaks: () => true },
  // Clients ignore members they do not know; this server does too, and has to go on with it.
  { fits: ({ key }) => key === 'additionalProperties', breaks: ({ inAnswer, after }) => !inAnswer && after === false },
  // A default does not help a client that leaves out what is required: nothing fills it in.
  { fits: ({ path, action }) => path.at(-2) === 'required' && action === 'add', breaks: ({ inAnswer }) => !inAnswer },
  { fits: isNewInput, breaks: ({ after }) => after.required === true },
  // A new way to fail is like those of its class (RFC 9110 15); a new way to succeed is not looked for.
  { fits: isNewAnswer, breaks: ({ key }) => /^[123]/.test(key) },
  // Which credentials an operation takes is compared there.
  { fits: ({ path }) => path[1] === 'securitySchemes' && path.length === 3, breaks: () => false },
  { fits: ({ path }) => path[0] === 'servers', breaks: ({ key, action }) => key === 'url' || action === 'remove' },
];

/** Whether it is for people, or for this server alone; a property may have such a name too. */
function isInWords(path) {
  const words = /^(description|summary|examples?|links|tags|externalDocs|x-.*)$/;
  return path.some((key, index) => words.test(key) && path[index - 1] !== 'properties');
}

function isNameOfParameter(path) {
  return path[3] === 'parameters' && path.length === 6 && path[5] === 'name';
}

/** A keyword whose values are not more or less than each other. */
function isKindOfValue(path) {
  return /^(type|format|pattern)$/.test(path.at(-1)) || path.at(-2) === 'enum';
}

function isOfWholeEnum({ path, action }, { before, after }) {
  return path.at(-2) === 'enum' && (action === 'add' ? before : after).parent.length === 0;
}

function isNewInput({ path, key, action }) {
  return action === 'add' && (path.length === 4 ? key === 'requestBody' : path.length === 5 && path[3] === 'parameters');
}

function isNewAnswer({ path, action }) {
  return action === 'add' && path.length === 5 && path[3] === 'responses';
}

/** The change with its type put right, and the name of the parameter that it is about. */
function judged(diff, context) {
  const { path, action } = diff;
  const change = { ...diff, key: path.at(-1), inAnswer: path[3] === 'responses' };
  return { ...change, type: typeOf(change, context), parameter: nameOfParameter(action, context) };
}

/** breaking, non-breaking, deprecated, or annotation for words. What nobody has an opinion about is breaking. */
function typeOf(change, context) {
  if (isInWords(change.path)) return 'annotation';
  const correction = CORRECTIONS.find(({ fits }) => fits(change, context));
  if (correction) return correction.breaks(change) ? 'breaking' : 'non-breaking';
  return change.type === 'unclassified' ? 'breaking' : change.type;
}

/** Its name where a change is in a parameter: places in lists differ between the contracts. */
function nameOfParameter(action, { before, after }) {
  const { root, path } = action === 'add' ? after : before;
  return path[3] === 'parameters' ? path.slice(0, 5).reduce((part, key) => part[key], root).name : undefined;
}

/**
 * The contract with each reference replaced by what it refers to: api-smart-diff takes what answers share for
 * part of a request. What it does not compare is put in terms of what it does.
 */
function plain(contract) {
  const { components, paths, security, ...rest } = resolved(contract, contract);
  const schemes = components?.securitySchemes ?? {};
  for (const { parameters: shared = [], ...item } of Object.values(paths)) {
    for (const operation of Object.values(item).filter(({ responses }) => responses)) {
      const credentials = asParameter(operation.security ?? security ?? [], Object.keys(schemes));
      operation.parameters = [...(operation.parameters ?? []), ...shared, credentials];
      delete operation.security;
      Object.values(operation.responses).forEach(putHeadersIntoContent);
    }
  }
  for (const path of Object.values(paths)) delete path.parameters;
  return { ...rest, paths, components: { securitySchemes: schemes } };
}

function resolved(part, root) {
  if (typeof part !== 'object' || part === null) return part;
  if (Array.isArray(part)) return part.map((item) => resolved(item, root));
  if (typeof part.$ref === 'string') {
    return resolved(part.$ref.slice(2).split('/').reduce((found, name) => found[name], root), root);
  }
  return unwrapped(Object.fromEntries(Object.entries(part).map(([name, value]) => [name, resolved(value, root)])));
}

/** An allOf of one thing says no more than that thing does where it stands. */
function unwrapped({ allOf, ...part }) {
  if (allOf?.length === 1 && !Object.keys(allOf[0]).some((name) => name in part)) return { ...part, ...allOf[0] };
  return allOf ? { ...part, allOf } : part;
}

/** Credentials are a parameter with a few values; what asks for none takes any. */
function asParameter(security, schemes) {
  const ways = security.map((way) => Object.keys(way).sort().join(' and '));
  const isOpen = ways.length === 0 || ways.includes('');
  const values = isOpen ? ['none', ...schemes] : ways;
  return { name: 'Authorization', in: 'header', required: true, schema: { type: 'string', enum: values } };
}

/** The headers of an answer are an object with required members and others. */
function putHeadersIntoContent(answer) {
  const headers = Object.entries(answer.headers ?? {});
  const properties = Object.fromEntries(headers.map(([name, { schema }]) => [name, schema]));
  const required = headers.filter(([, header]) => header.required).map(([name]) => name);
  answer.content = { ...answer.content, headers: { schema: { type: 'object', properties, required } } };
  delete answer.headers;
}

/** Takes out what is the same in both, down to single answers: to compare all of it takes a second. */
function leaveOutEqual(before, after, depth) {
  for (const key of Object.keys(before).filter((name) => Object.hasOwn(after, name))) {
    if (isDeepStrictEqual(before[key], after[key])) {
      delete before[key];
      delete after[key];
    } else if (depth > 1 && [before, after].every((part) => part[key].constructor === Object)) {
      leaveOutEqual(before[key], after[key], depth - 1);
    }
  }
}

/** The same change in many places is one line. */
function inFewLines(changes) {
  const places = new Map();
  for (const change of changes) {
    const [place, what] = inWords(change);
    places.set(what, [...(places.get(what) ?? []), place]);
  }
  return [...places].map(([what, [first, ...more]]) => {
    const others = more.length ? ` and ${more.length} more` : '';
    return `${first}${others}: ${what}`;
  });
}

/** Where a change is, and what it is. */
function inWords(change) {
  const { path, action, before, after } = change;
  const [place, names] = placed(change);
  const isItem = typeof path.at(-1) === 'number' && path.length > 5;
  const what = (isItem ? [...names.slice(0, -1), inShort(after ?? before)] : names).join(' ');
  if (action === 'replace') return [place, `${what} was ${inShort(before)}, is ${inShort(after)}`];
  return [place, `${what} ${action === 'add' ? 'is new' : 'is gone'}`];
}

/** The operation, with the status of an answer; and the names of what is further inside. */
function placed({ path, parameter }) {
  if (path[0] !== 'paths') return ['Every operation', path.filter((key) => key !== 'components')];
  const [, url, method, part, which, ...inside] = path;
  const operation = `${method.toUpperCase()} ${url}`;
  if (part === undefined) return [operation, ['the operation']];
  if (part === 'responses') return [`${operation}, answer ${which}`, inside.length ? named(inside) : ['the answer']];
  return [operation, parameter ? [`parameter ${parameter}`, ...named(inside)] : named(path.slice(3))];
}

/** The path without what says nothing to people: `title maxLength`. */
function named(path) {
  const isNoise = /^(content|schema|properties|application\/(problem\+)?json)$/;
  return path.filter((key, index) => index === path.length - 1 || !isNoise.test(key));
}

function inShort(value) {
  return JSON.stringify(value).slice(0, 200);
}
