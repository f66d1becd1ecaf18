#!/usr/bin/env node
// Only syntax that old versions of Node read too: they must get as far as the message.
import { existsSync, readFileSync } from 'node:fs';

const { engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const [major, minor] = process.versions.node.split('.').map(Number);
const [neededMajor, neededMinor] = engines.node.replace('>=', '').split('.').map(Number);
const program = new URL('../dist/main.js', import.meta.url);

if (major < neededMajor || (major === neededMajor && minor < neededMinor)) {
  fail(`needs Node ${neededMajor}.${neededMinor} or newer, this is ${process.versions.node}`);
} else if (!existsSync(program)) {
  fail('is not built; run `npm run setup` in its repository');
} else {
  import(program.href).catch((error) => fail(error.message));
}

function fail(message) {
  process.stderr.write(`axle: ${message}\n`);
  process.exitCode = 1;
}
