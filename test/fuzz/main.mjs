// npm run fuzz -- TARGET [--seconds N] [--seed S]
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { parseArgs } from 'node:util';

import { ROOT } from '../../scripts/repository.mjs';
import { nativeTargets, replayNative, runNative } from './native-targets.mjs';
import { INPUT_BYTES_MAX } from './input-slot.mjs';
import { runTarget, saveCrash } from './run-target.mjs';
import { scriptTargets } from './targets.mjs';

const DEFAULT_SECONDS = 60;

const help = `usage: npm run fuzz -- TARGET [--seconds N] [--seed S]   feed a parser what it never expected
       npm run fuzz -- TARGET --replay FILE              the one input again
       npm run fuzz -- all [--seconds N]                 every target, N seconds each
       npm run fuzz -- --list                            the targets

  --seconds N  default ${DEFAULT_SECONDS}
  --seed S     a whole number from 0 up to 2^32 - 1; the same makes the same inputs. Default: by chance, printed

What breaks a target is saved in build/fuzz, and the run ends with 1. Targets in C and C++ need clang and its libFuzzer; on
Debian 12: apt-get install clang libclang-rt-14-dev
`;

/** @typedef {{ seconds: number, seed: number, replay: string | undefined }} Options */

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seconds: { type: 'string' },
      seed: { type: 'string' },
      replay: { type: 'string' },
      list: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const scripts = await scriptTargets();
  if (values.help === true) {
    process.stdout.write(help);
    return 0;
  }
  if (values.list === true) {
    for (const [name, { target }] of scripts) console.log(`${name.padEnd(16)}${target.about}`);
    for (const [name, { about }] of nativeTargets) {
      console.log(`${name.padEnd(16)}${about} (libFuzzer)`);
    }
    return 0;
  }
  const [wanted] = positionals;
  const names = [...scripts.keys(), ...nativeTargets.keys()];
  if (wanted === undefined || positionals.length > 1 || ![...names, 'all'].includes(wanted)) {
    console.error(`fuzz: give one target: ${names.join(', ')} or all; --help says more`);
    return 2;
  }
  const options = {
    seconds: wholeNumber('seconds', values.seconds ?? String(DEFAULT_SECONDS), 1e6),
    seed: wholeNumber('seed', values.seed ?? String(Math.floor(Math.random() * 2 ** 32)), 2 ** 32),
    replay: values.replay,
  };
  let failures = 0;
  for (const name of wanted === 'all' ? names : [wanted]) {
    const script = scripts.get(name);
    const ok =
      script === undefined
        ? runOneNative(name, options)
        : await runScript(name, script.url, options);
    if (!ok) failures += 1;
  }
  return failures === 0 ? 0 : 1;
}

/**
 * @param {string} name
 * @param {string} url
 * @param {Options} options
 * @returns {Promise<boolean>}
 */
async function runScript(name, url, { seconds, seed, replay }) {
  const again = replay === undefined ? undefined : readFileSync(replay);
  if (again !== undefined && again.length > INPUT_BYTES_MAX) throw new UsageProblem('too large');
  if (again === undefined) console.log(`${name}: seed ${seed}, ${seconds} s`);
  const outcome = await runTarget(url, again === undefined ? { seed, seconds } : { replay: again });
  if ('progress' in outcome) {
    const { runs, corpus, reached } = outcome.progress;
    console.log(
      replay === undefined
        ? `${name}: ${runs} inputs, ${corpus} kept, ${reached} characters of code reached; nothing found`
        : `${name}: nothing found`,
    );
    return true;
  }
  console.error(`${name}: ${outcome.problem}`);
  if (replay === undefined) {
    const path = relative(ROOT, saveCrash(name, outcome.input));
    console.error(`${name}: the input is in ${path}; npm run fuzz -- ${name} --replay ${path}`);
  }
  return false;
}

/**
 * @param {string} name
 * @param {Options} options
 * @returns {boolean}
 */
function runOneNative(name, { seconds, seed, replay }) {
  return replay === undefined ? runNative(name, seconds, seed) : replayNative(name, replay);
}

/**
 * @param {string} name
 * @param {string} text
 * @param {number} end
 * @returns {number}
 */
function wholeNumber(name, text, end) {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0 && value < end) return value;
  throw new UsageProblem(`--${name} is '${text}'; give a whole number from 0 up`);
}

class UsageProblem extends Error {}

try {
  process.exitCode = await main();
} catch (error) {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!(error instanceof UsageProblem) && !code.startsWith('ERR_PARSE_ARGS')) throw error;
  console.error(`fuzz: ${/** @type {Error} */ (error).message}`);
  process.exitCode = 2;
}
