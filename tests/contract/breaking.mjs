// Compares the contract with that of the last release. Fails if a change breaks clients and the major version is the
// same. With two files it compares these: node tests/contract/breaking.mjs before.yaml after.yaml
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import yaml from 'js-yaml';
import { compare } from './changes.mjs';

const CONTRACT = 'openapi/todo.yaml';

function main(given) {
  const after = read(readFileSync(given[1] ?? CONTRACT, 'utf8'));
  const before = given.length ? read(readFileSync(given[0], 'utf8')) : findReleased(versionOf(after));
  if (before === undefined) {
    console.log(`Left out: no commit here has ${CONTRACT} with another info.version to compare with`);
    return 0;
  }
  const errors = findErrors(before, after);
  errors.forEach((error) => console.error(error));
  return errors.length ? 1 : 0;
}

/** Return a line for each error of the step from one contract to the next. */
function findErrors(before, after) {
  const [from, to] = [before, after].map(versionOf);
  const { breaks, hasMeaning } = compare(before, after);
  if (isNewer(from, to) || (hasMeaning && from === to)) {
    return [...breaks, `The contract differs from that of ${from}: raise info.version, which is ${to}`];
  }
  if (breaks.length === 0 || major(to) > major(from)) return [];
  return [...breaks, `This breaks clients of ${from}, and ${to} is not a new major version: see CONTRIBUTING.md`];
}

/**
 * Return the contract of the newest commit with another version than `version`: the last state of the last release.
 * Return undefined without git, in a shallow clone, and before the first release.
 */
function findReleased(version) {
  for (const commit of git('log', '--first-parent', '--format=%H', '--', CONTRACT).split('\n')) {
    const contract = commit && read(git('show', `${commit}:./${CONTRACT}`));
    if (contract && versionOf(contract) !== version) return contract;
  }
  return undefined;
}

/** Return the output of git, or an empty string if git fails. */
function git(...words) {
  try {
    return execFileSync('git', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return '';
  }
}

function read(text) {
  return yaml.load(text, { schema: yaml.JSON_SCHEMA });
}

function versionOf(contract) {
  return contract?.info?.version;
}

function major(version) {
  return Number(version.split('.')[0]);
}

/** Return whether the first of two versions of three numbers is greater. */
function isNewer(version, other) {
  return new Intl.Collator('en', { numeric: true }).compare(version, other) > 0;
}

process.exitCode = main(process.argv.slice(2));
