import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

import { connect } from 'axle';
import { expect, it } from 'vitest';

import { sampleImages } from './images.js';
import { builtPlugin } from './plugins.js';

/** A process of its own: what the plugin keeps is kept until the process ends. */
const program = `
  import { connect } from 'axle';
  const plugins = JSON.parse(process.argv[1]);
  const axle = await connect({ plugins, limits: { closeMsMax: 300 } });
  const { name, inputs } = (await axle.ops()).find(({ devices }) => devices.some((id) => id.startsWith('fault:')));
  const call = axle.run(name, { [inputs[0].name]: new Uint8Array(8) }, { deadlineMs: 100 });
  const ended = await call.then(() => 'a result', ({ code }) => code);
  const closed = await axle.close().then(() => 'closed', ({ code, message }) => code + ' ' + message);
  console.log(JSON.stringify({ ended, closed }));
  process.exit(0);
`;

it('takes a limit on time that no timer can keep', async () => {
  const axle = await connect({ limits: { closeMsMax: 2 ** 31, imageDecodeSecondsMax: 2 ** 31 } });
  const [photo] = await sampleImages();
  const { results } = await axle.classify(photo?.path as string);
  expect(results.length).toBeGreaterThan(0);
  const stopped = axle.compress(randomBytes(100_000_000), { codec: 'gzip', level: 9 });
  const failed = expect(stopped).rejects.toMatchObject({ code: 'CANCELLED' });
  await new Promise(setImmediate);
  await axle.close();
  await failed;
});

it('gives up on a plugin that keeps a task, and says which', async () => {
  const plugins = [{ name: 'fault', ...builtPlugin('fault', { fault: 'never-complete' }) }];
  const args = ['--input-type=module', '-e', program, JSON.stringify(plugins)];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: import.meta.dirname,
  });
  const { ended, closed } = JSON.parse(stdout) as Record<string, string>;
  expect(ended).toBe('DEADLINE_EXCEEDED');
  expect(closed).toMatch(
    /^DEADLINE_EXCEEDED backend 'fault' did not close within 300 ms: a task was not ended/,
  );
});
