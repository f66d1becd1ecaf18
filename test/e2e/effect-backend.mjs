import { adoptTensor, AxleError } from '@axle/core/internal';

/**
 * @import { Backend, BackendTask, Device, OfferedOp } from '@axle/core/internal'
 */

const bytes = { name: 'bytes', dtype: /** @type {const} */ ('UINT8'), shape: [-1] };

/**
 * @param {string} name
 * @param {number} flags
 * @returns {OfferedOp}
 */
function op(name, flags) {
  const spec = { doc: '', args: [], inputs: [bytes], outputs: [bytes] };
  return { name, op: 65536, version: 1, first: 0, last: 0, flags, batchMax: 1, spec };
}

/**
 * Two ops for what happens when connections and servers are lost: `test.axle/append` has an effect and must not run twice,
 * `test.axle/reverse` is PURE and IDEMPOTENT. Both give their bytes back, reverse the last one first. Either can be held
 * until the test lets it go.
 *
 * @implements {Backend}
 */
export class EffectBackend {
  name = 'effect';
  version = '1';
  batches = /** @type {const} */ ('here');
  ops = [op('test.axle/append', 0), op('test.axle/reverse', 3)];
  /** @type {Device[]} */
  devices;
  isHeld = false;
  /** Tasks that came to the device. */
  begun = 0;
  /** @type {BackendTask[]} */
  #waiting = [];
  #append;

  /**
   * @param {(line: string) => void} append the effect
   * @param {string} device
   */
  constructor(append, device = 'effect:0') {
    this.#append = append;
    this.devices = [
      {
        id: device,
        backend: 'effect',
        index: 0,
        name: 'Effect',
        kind: 'OTHER',
        emulated: false,
        memoryBytes: 0,
        parallel: 4096,
      },
    ];
  }

  /** Ops of the tasks that are held. */
  get waiting() {
    return this.#waiting.map(({ range }) => range.name);
  }

  release() {
    this.isHeld = false;
    for (const task of this.#waiting.splice(0)) this.#run(task);
  }

  supports() {
    return { score: 1, reason: '' };
  }

  /** @returns {Promise<never>} */
  loadModel() {
    return Promise.reject(new AxleError('UNIMPLEMENTED', 'no models'));
  }

  async unloadModel() {}

  /**
   * @param {Device} _device
   * @param {readonly BackendTask[]} batch
   */
  submit(_device, batch) {
    for (const task of batch) {
      this.begun += 1;
      if (this.isHeld) this.#waiting.push(task);
      else setImmediate(() => this.#run(task));
    }
  }

  /** @param {BackendTask} task */
  cancel(task) {
    const at = this.#waiting.indexOf(task);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    task.settle({ ok: false, error: AxleError.expected('CANCELLED', 'cancelled on the device') });
  }

  /** @returns {never} */
  openStream() {
    throw new AxleError('UNIMPLEMENTED', 'no streams');
  }

  health() {
    return Promise.resolve({ state: /** @type {const} */ ('OK'), message: '' });
  }

  close() {
    for (const task of [...this.#waiting]) this.cancel(task);
    return Promise.resolve();
  }

  /** @param {BackendTask} task */
  #run(task) {
    const data = Uint8Array.from(task.inputs[0]?.tensor.bytes ?? []);
    if (task.range.name === 'test.axle/append') this.#append(Buffer.from(data).toString());
    else data.reverse();
    const tensor = adoptTensor('UINT8', [data], [data.byteLength]);
    task.settle({
      ok: true,
      outputs: [{ name: 'bytes', tensor }],
      timing: { queueMs: 0, transferMs: 0, computeMs: 0.01, batchSize: 1 },
    });
  }
}
