// Compares the contract with the one of the last release, and fails when that breaks clients without a new major
// version. With two files it compares the second with the first: node openapi/breaking.mjs before.yaml after.yaml
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
  const faults = faultsOf(before, after);
  faults.forEach((fault) => console.error(fault));
  return faults.length ? 1 : 0;
}

/** What is wrong with the step from one contract to the next, a line each; empty when it may be taken. */
function faultsOf(before, after) {
  const [from, to] = [before, after].map(versionOf);
  const { breaks, hasMeaning } = compare(before, after);
  if (isNewer(from, to) || (hasMeaning && from === to)) {
    return [...breaks, `This is not the contract of ${from} any longer: raise info.version, which is ${to}`];
  }
  if (breaks.length === 0 || major(to) > major(from)) return [];
  return [...breaks, `This breaks clients of ${from}, and ${to} is not a new major version: see CONTRIBUTING.md`];
}

/**
 * The contract of the newest commit that has another version than `version`: the last state of the last release.
 * Undefined without git, in a shallow clone, before the first release.
 */
function findReleased(version) {
  for (const commit of git('log', '--first-parent', '--format=%H', '--', CONTRACT).split('\n')) {
    const contract = commit && read(git('show', `${commit}:./${CONTRACT}`));
    if (contract && versionOf(contract) !== version) return contract;
  }
  return undefined;
}

/** What git says; nothing where there is no git, or it knows no such thing. */
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

/** Whether the first of two versions, of three numbers each, is the greater one. */
function isNewer(version, other) {
  return new Intl.Collator('en', { numeric: true }).compare(version, other) > 0;
}

process.exitCode = main(process.argv.slice(2));
