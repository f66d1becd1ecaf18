import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { build, conformanceSources, lacks, machines } from '../../guest/machines.mjs';
import { runProgram } from '../../guest/run-program.js';
import { axlePath, folder, serve, serveUnix, type RunningServer } from '../serve.js';

let server: RunningServer;
let place = '';

beforeAll(async () => {
  server = await serveUnix('c-client.sock');
  place = server.endpoint.replace('axle+', '');
});

describe.each(machines)('the C client on a machine of $name', (machine) => {
  const lack = lacks(machine);

  it.skipIf(lack !== undefined)(`passes every scenario${lack ? ` (${lack})` : ''}`, async () => {
    const command = build(machine, 'conformance', conformanceSources);
    const { code, output } = await runProgram([...command, place]);
    expect(output).toMatch(/^PASS \d+ passed, 0 failed$/m);
    expect(code).toBe(0);
  });
});

describe('the C client', () => {
  it('goes through a relay, by TCP', async () => {
    const args = ['--insecure', '--listen', 'tcp:127.0.0.1:0'];
    const relay = await serve(...args, '--backend', server.endpoint);
    const port = new URL(relay.endpoint.replace('axle:', 'http:')).port;
    const command = build(machines[0], 'conformance', conformanceSources);
    const { output } = await runProgram([...command, `tcp:127.0.0.1:${port}`, 'large']);
    expect(output).toContain('ok large');
  });

  it('says why it cannot go on where the server does not know it', async () => {
    const tokens = join(folder, 'tokens');
    execFileSync(process.execPath, [
      ...[axlePath, 'token', 'create', '--tenant', 'alice', '--tokens', tokens],
    ]);
    const args = ['--insecure', '--tokens', tokens, '--listen', 'tcp:127.0.0.1:0'];
    const strict = await serve(...args);
    const port = new URL(strict.endpoint.replace('axle:', 'http:')).port;
    const command = build(machines[0], 'conformance', conformanceSources);
    const { code, output } = await runProgram([...command, `tcp:127.0.0.1:${port}`, 'greeting']);
    expect(output).toMatch(/^FAILED greeting: .*token/m);
    expect(code).toBe(1);
  });
});
