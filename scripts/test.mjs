// Sets up, runs vitest with the arguments given, and closes with one line of counts.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isProgram, ROOT } from './repository.mjs';
import { isCi, setUpOrExit } from './setup.mjs';

const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs');
const REPORT = join(ROOT, 'build/vitest.json');

/** The other project, the tests under sanitizers, compiles for minutes: npm run sanitize. */
const PROJECT = ['--project', 'behaviour'];

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/**
 * The parts of vitest's JSON report (which is Jest's) that are counted.
 *
 * @typedef {object} Report
 * @property {number} numPassedTests
 * @property {number} numFailedTests
 * @property {number} numPendingTests
 * @property {number} numTodoTests
 * @property {{ status: string, assertionResults: { status: string }[] }[]} testResults
 */

/**
 * @param {Report} report
 * @returns {Counts} a file that failed outside its tests counts as one failed test
 */
export function countTests(report) {
  const brokenFiles = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + brokenFiles.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/**
 * @param {number} exitCode vitest's
 * @param {Report} report
 * @param {string[]} args
 * @returns {string | undefined} what went wrong, where no failed test says it
 */
export function problemOf(exitCode, report, args) {
  if (exitCode === 0 || countTests(report).failed > 0) return undefined;
  if (report.testResults.length > 0) {
    return `vitest ended with ${exitCode} though no test failed; see its errors above`;
  }
  return `no test file matches ${args.join(' ')}; give a part of a test file's path`;
}

/**
 * @param {string[]} args for vitest
 * @returns {number} the exit code
 */
function runTests(args) {
  rmSync(REPORT, { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${REPORT}`];
  const { status } = spawnSync(
    process.execPath,
    [VITEST, 'run', ...PROJECT, ...reporters, ...args],
    {
      cwd: ROOT,
      stdio: 'inherit',
    },
  );
  const exitCode = status ?? 1;
  if (!existsSync(REPORT)) {
    console.error('axle: vitest ended without a report');
    return exitCode === 0 ? 1 : exitCode;
  }

  /** @type {Report} */
  const report = JSON.parse(readFileSync(REPORT, 'utf8'));
  const counts = countTests(report);
  const skippedInCi = isCi() && counts.skipped > 0;
  if (skippedInCi) console.error('axle: in CI no test may be skipped');
  const problem = problemOf(exitCode, report, args);
  if (problem !== undefined) console.error(`axle: ${problem}`);
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  return exitCode === 0 && skippedInCi ? 1 : exitCode;
}

if (isProgram(import.meta.url)) {
  await setUpOrExit();
  process.exitCode = runTests(process.argv.slice(2));
}
