// What changed from one contract to another, and what of that a client would notice.
import { apiCompare } from 'api-smart-diff';

const HEADERS = 'headers';

/**
 * A line for each break, and whether anything but words changed.
 *
 * @param {object} before - the contract that clients know
 * @param {object} after - the contract that they are to get
 * @returns {{breaks: string[], hasMeaning: boolean}}
 */
export function compare(before, after) {
  const annotateHook = (diff, context) => judge(diff, context); // it is kept as the diff's description
  const { diffs, merged } = apiCompare(plain(before), plain(after), { annotateHook });
  return {
    breaks: inFewLines(diffs.filter((diff) => diff.description === 'breaking'), merged),
    hasMeaning: diffs.some((diff) => diff.description !== 'annotation'),
  };
}

/**
 * What clients notice and api-smart-diff 1.0.6 does not, and the other way round; the first that fits decides.
 * `fits` is given the change, with `inAnswer` and `key`, the last of its path; `breaks` also what stood around it.
 */
const CORRECTIONS = [
  // Generated clients name functions and arguments after these.
  { fits: ({ path, key }) => key === 'operationId' || isNameOfParameter(path), breaks: () => true },
  // It takes one of these for narrower, in answers and in queries.
  { fits: ({ key, action }) => /^(type|format|pattern)$/.test(key) && action === 'replace', breaks: () => true },
  // It has this the wrong way round. Null is one value more: a client may send it, or has to expect it.
  { fits: ({ key }) => key === 'nullable', breaks: ({ after, inAnswer }) => inAnswer === (after === true) },
  // It sees new and removed values where values are limited for the first time, or no longer.
  { fits: isOfWholeEnum, breaks: ({ action, inAnswer }) => inAnswer === (action === 'remove') },
  // What is no longer read would be lost without a word, since unknown members are ignored.
  { fits: ({ path, action }) => path.at(-2) === 'properties' && action === 'remove', breaks: () => true },
  // Clients ignore members they do not know; this server does too, and has to go on with it.
  { fits: ({ key }) => key === 'additionalProperties', breaks: ({ after, inAnswer }) => !inAnswer && after === false },
  // A default does not help a client that leaves out what is required: nothing fills it in.
  { fits: isNewlyRequired, breaks: ({ inAnswer }) => !inAnswer },
  { fits: isNewInput, breaks: ({ after }) => after.required === true },
  // A new way to fail is like those of its class (RFC 9110 15); a new way to succeed is not looked for.
  { fits: isNewAnswer, breaks: ({ key }) => /^[123]/.test(key) },
  // Which credentials an operation takes is compared there.
  { fits: ({ path }) => path[1] === 'securitySchemes' && path.length === 3, breaks: () => false },
  { fits: ({ path }) => path[0] === 'servers', breaks: ({ key, action }) => key === 'url' || action === 'remove' },
];

/** Whether it is for people, or for this server alone; a property may have such a name too. */
function isInWords(path) {
  const isOne = /^(description|summary|examples?|links|tags|externalDocs|x-.*)$/;
  return path.some((key, index) => isOne.test(key) && path[index - 1] !== 'properties');
}

function isNameOfParameter(path) {
  return path[3] === 'parameters' && path.length === 6 && path[5] === 'name';
}

function isOfWholeEnum({ path, action }, { before, after }) {
  return path.at(-2) === 'enum' && (action === 'add' ? before : after).parent.length === 0;
}

function isNewlyRequired({ path, action }) {
  return path.at(-2) === 'required' && action === 'add';
}

function isNewInput({ path, key, action }) {
  return action === 'add' && (path.length === 4 ? key === 'requestBody' : path.length === 5 && path[3] === 'parameters');
}

function isNewAnswer({ path, action }) {
  return action === 'add' && path.length === 5 && path[3] === 'responses';
}

/** breaking, non-breaking, or annotation for words. What nobody has an opinion about is taken for breaking. */
function judge(diff, context) {
  const change = { ...diff, key: diff.path.at(-1), inAnswer: diff.path[3] === 'responses' };
  if (isInWords(diff.path)) return 'annotation';
  const correction = CORRECTIONS.find(({ fits }) => fits(change, context));
  if (correction === undefined) return diff.type === 'unclassified' ? 'breaking' : diff.type;
  return correction.breaks(change, context) ? 'breaking' : 'non-breaking';
}

/**
 * The contract with each reference replaced by what it refers to: api-smart-diff takes what answers share for
 * part of a request. What it does not compare is put in terms of what it does.
 */
function plain(contract) {
  const { components, paths, security, ...rest } = resolved(contract, contract);
  const schemes = components?.securitySchemes ?? {};
  for (const { parameters: shared = [], ...operations } of Object.values(paths)) {
    for (const operation of Object.values(operations)) {
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
  return Object.fromEntries(Object.entries(part).map(([name, value]) => [name, resolved(value, root)]));
}

/** Credentials are a parameter with a few values, whoever asks for none takes any. */
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
  answer.content = { ...answer.content, [HEADERS]: { schema: { type: 'object', properties, required } } };
  delete answer.headers;
}

/** The same change in many places is one line. */
function inFewLines(diffs, merged) {
  const places = new Map();
  for (const diff of diffs) {
    const [place, change] = inWords(diff, merged);
    places.set(change, [...(places.get(change) ?? []), place]);
  }
  return [...places].map(([change, [first, ...more]]) => {
    const others = more.length ? ` and ${more.length} more` : '';
    return `${first}${others}: ${change}`;
  });
}

/** Where a change is, and what it is. */
function inWords({ path, action, before, after }, merged) {
  const [place, names] = placed(path, merged);
  const isItem = typeof path.at(-1) === 'number' && path.length > 5;
  const what = isItem ? [...names.slice(0, -1), inShort(after ?? before)] : names;
  const happened = action === 'add' ? 'is new' : 'is gone';
  return [place, `${what.join(' ')} ${action === 'replace' ? `was ${inShort(before)}, is ${inShort(after)}` : happened}`];
}

/** The operation, with the status of an answer; and the names of what is further inside. */
function placed(path, merged) {
  if (path[0] !== 'paths') return ['Every operation', path.filter((key) => key !== 'components')];
  const [, url, method, part, which, ...inside] = path;
  const operation = `${method.toUpperCase()} ${url}`;
  if (part === undefined) return [operation, ['the operation']];
  if (part === 'responses') return [`${operation}, answer ${which}`, inside.length ? named(inside) : ['the answer']];
  if (part !== 'parameters') return [operation, named(path.slice(3))];
  return [operation, [`parameter ${merged.paths[url][method].parameters[which].name}`, ...named(inside)]];
}

/** The path without what says nothing to people: `title maxLength`. */
function named(path) {
  const isNoise = /^(content|schema|properties|application\/(problem\+)?json)$/;
  return path.filter((key, index) => index === path.length - 1 || !isNoise.test(key));
}

function inShort(value) {
  const text = JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 199)}…` : text;
}
