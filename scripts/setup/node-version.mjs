import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../repository.mjs';
import { SetupError } from './run-logged.mjs';

/** Refuses a Node older than package.json's `engines.node`, which has the form ">=major.minor". */
export function checkNodeVersion() {
  const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const [wantedMajor, wantedMinor] = numbers(engines.node);
  const [major, minor] = numbers(process.versions.node);
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  throw new SetupError(
    `Node ${process.versions.node} is too old: install Node ${wantedMajor}.${wantedMinor} or newer`,
  );
}

/**
 * @param {string} version
 * @returns {[number, number]}
 */
function numbers(version) {
  const [major = '0', minor = '0'] = version.match(/\d+/g) ?? [];
  return [Number(major), Number(minor)];
}
