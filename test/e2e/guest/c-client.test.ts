import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import {
  build,
  conformanceSources,
  lacks,
  machines,
  sendModelSources,
} from '../../guest/machines.mjs';
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

const models = join(import.meta.dirname, '../../../axle/models');

/** The model glyphs with a comment in its config, so that no server has it, as PROTOCOL.md section 9 writes models. */
function changedModel(): { manifest: Buffer; content: Buffer; contentId: string } {
  const config = readFileSync(join(models, 'glyphs/config.pbtxt'));
  const files = [
    { name: 'config.pbtxt', data: Buffer.concat([Buffer.from('# changed\n'), config]) },
    { name: 'labels.txt', data: readFileSync(join(models, 'glyphs/labels.txt')) },
    { name: 'model.onnx', data: readFileSync(join(models, 'glyphs/1/model.onnx')) },
  ];
  const lines = files.map(({ name, data }) => `${sha256(data)} ${data.length} ${name}\n`);
  const manifest = Buffer.from(lines.join(''));
  const content = Buffer.concat(files.map(({ data }) => data));
  return { manifest, content, contentId: sha256(manifest) };
}

function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

describe('the C client', () => {
  it('sends a model that the server lacks, and only then', async () => {
    const { manifest, content, contentId } = changedModel();
    const [manifestFile, contentFile] = [join(folder, 'manifest'), join(folder, 'content')];
    writeFileSync(manifestFile, manifest);
    writeFileSync(contentFile, content);
    const program = build(machines[0], 'send-model', sendModelSources);
    const socket = place.replace('unix:', '');
    const files = [manifestFile, contentFile, join(models, 'samples/A.png')];
    const command = [...program, socket, contentId, ...files];
    expect(await runProgram(command)).toEqual({ code: 0, output: `A ${content.length}\n` });
    expect(await runProgram(command)).toEqual({ code: 0, output: 'A 0\n' });
  });

  it('does with buffers of the least size', async () => {
    const least = [
      '-DAXLE_CONFORMANCE_SEND_BYTES=AXLE_CLIENT_SEND_BYTES_MIN',
      '-DAXLE_CONFORMANCE_RECEIVE_BYTES=AXLE_CLIENT_RECEIVE_BYTES_MIN',
    ];
    const command = build(machines[0], 'conformance-least', conformanceSources, least);
    const { output } = await runProgram([...command, place]);
    expect(output).toMatch(/^PASS \d+ passed, 0 failed$/m);
  });

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
