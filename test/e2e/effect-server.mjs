// A server of EffectBackend in a process of its own, so that it can be killed: node effect-server.mjs LISTEN FILE. What
// append appends goes to FILE at once. It holds tasks from when it is told 'hold'; it tells how many have begun.
import { appendFileSync } from 'node:fs';

import { limitsWith, Runtime } from '@axle/core/internal';

import { EffectBackend } from './effect-backend.mjs';
import { startServer } from './start-server.mjs';

const [listen = '', file = ''] = process.argv.slice(2);

class TellingBackend extends EffectBackend {
  /** @type {EffectBackend['submit']} */
  submit(device, batch) {
    super.submit(device, batch);
    process.send?.(this.begun);
  }
}

const backend = new TellingBackend((line) => appendFileSync(file, `${line}\n`));
const limits = limitsWith({});
const runtime = await Runtime.start({
  plugins: [],
  decodesImages: false,
  backends: [backend],
  models: [],
  limits,
});
process.on('message', () => {
  backend.isHeld = true;
  process.send?.('held');
});
await startServer(runtime, listen);
process.send?.('listening');
