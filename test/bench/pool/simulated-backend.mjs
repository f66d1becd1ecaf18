import { adoptTensor, AxleError, FloatArg } from '@axle/core/internal';

/**
 * @import { Backend, BackendTask, Device, OfferedOp } from '@axle/core/internal'
 */

const bytes = { name: 'bytes', dtype: /** @type {const} */ ('UINT8'), shape: [-1] };
/** PURE and IDEMPOTENT. */
const flags = 3;

/** @type {OfferedOp} */
const work = {
  ...{ name: 'sim.axle/work', op: 65536, version: 1, first: 0, last: 0, flags, batchMax: 1 },
  spec: {
    doc: 'Takes the device for so long, and gives its bytes back.',
    args: [{ name: 'ms', type: 'FLOAT', doc: 'milliseconds', required: true }],
    inputs: [bytes],
    outputs: [bytes],
  },
};

/**
 * A simulated device: it sleeps on a clock for as long as its tasks say, one after another, and says of itself that it is
 * emulated. It never sleeps less than it says, and what a timer comes too late by is taken from the next sleep, so that a
 * row of tasks takes what they take together.
 *
 * @implements {Backend}
 */
export class SimulatedBackend {
  name = 'sim';
  version = '1';
  batches = /** @type {const} */ ('here');
  ops = [work];
  /** @type {Device[]} */
  devices;
  /** Of what tasks say: a gray device is slower. */
  slowness = 1;
  /** @type {BackendTask[]} */
  #queue = [];
  /** Until when the tasks so far take it, on the clock of `performance`. */
  #busyUntil = 0;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;

  constructor() {
    const common = {
      backend: 'sim',
      index: 0,
      name: 'Simulated',
      kind: /** @type {const} */ ('OTHER'),
    };
    this.devices = [{ ...common, id: 'sim:0', emulated: true, memoryBytes: 0, parallel: 1 }];
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
    this.#queue.push(...batch);
    this.#next();
  }

  cancel() {
    // What has begun runs to its end, as on most devices.
  }

  /** @returns {never} */
  openStream() {
    throw new AxleError('UNIMPLEMENTED', 'no streams');
  }

  health() {
    return Promise.resolve({ state: /** @type {const} */ ('OK'), message: '' });
  }

  close() {
    clearTimeout(this.#timer);
    return Promise.resolve();
  }

  #next() {
    const [task] = this.#queue;
    if (task === undefined || this.#timer !== undefined) return;
    const { ms: wanted } = task.args;
    const ms = Number(wanted instanceof FloatArg ? wanted.value : wanted) * this.slowness;
    const now = performance.now();
    // A turn of the event loop between two tasks is none of the device's.
    if (now > this.#busyUntil + turnMsMax) this.#busyUntil = now;
    this.#busyUntil += ms;
    const end = () => {
      const leftMs = this.#busyUntil - performance.now();
      if (leftMs > 0) {
        this.#timer = setTimeout(end, Math.ceil(leftMs));
        return;
      }
      this.#timer = undefined;
      this.#queue.shift();
      this.#settle(task, ms);
      this.#next();
    };
    this.#timer = setTimeout(end, Math.max(0, Math.floor(this.#busyUntil - now)));
  }

  /**
   * @param {BackendTask} task
   * @param {number} computeMs
   */
  #settle(task, computeMs) {
    const data = Uint8Array.from(task.inputs[0]?.tensor.bytes ?? []);
    task.settle({
      ok: true,
      outputs: [{ name: 'bytes', tensor: adoptTensor('UINT8', [data], [data.byteLength]) }],
      timing: { queueMs: 0, transferMs: 0, computeMs, batchSize: 1 },
    });
  }
}

/** How late a next task may come to count as having waited there, milliseconds. */
const turnMsMax = 3;
