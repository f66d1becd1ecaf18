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
 * Simulated devices: each sleeps on a clock for as long as its tasks say, one after another, and says of itself that it is
 * emulated. What a timer comes too late by is taken from the next sleep, as long as tasks wait, so that a row of tasks
 * takes what they take together.
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
  /** @type {readonly SimulatedDevice[]} */
  #devices;

  /** @param {number} count of devices */
  constructor(count = 1) {
    const kind = /** @type {const} */ ('OTHER');
    const common = { backend: 'sim', name: 'Simulated', kind, emulated: true, memoryBytes: 0 };
    this.devices = Array.from({ length: count }, (_, index) => ({
      ...common,
      ...{ id: `sim:${index}`, index, parallel: 1 },
    }));
    this.#devices = this.devices.map(() => new SimulatedDevice());
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
   * @param {Device} device
   * @param {readonly BackendTask[]} batch
   */
  submit({ index }, batch) {
    for (const task of batch) {
      const { ms } = task.args;
      const wanted = Number(ms instanceof FloatArg ? ms.value : ms);
      this.#devices[index]?.add(task, wanted * this.slowness);
    }
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
    for (const device of this.#devices) device.close();
    return Promise.resolve();
  }
}

/** How late a next task may come to count as having waited there, milliseconds. */
const turnMsMax = 3;

class SimulatedDevice {
  /** @type {{ task: BackendTask, ms: number }[]} */
  #queue = [];
  /** Until when the tasks so far take it, on the clock of `performance`. */
  #busyUntil = 0;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;

  /**
   * @param {BackendTask} task
   * @param {number} ms
   */
  add(task, ms) {
    this.#queue.push({ task, ms });
    this.#next();
  }

  close() {
    clearTimeout(this.#timer);
  }

  #next() {
    const [first] = this.#queue;
    if (first === undefined || this.#timer !== undefined) return;
    const now = performance.now();
    // A turn of the event loop between two tasks is none of the device's.
    if (now > this.#busyUntil + turnMsMax) this.#busyUntil = now;
    this.#busyUntil += first.ms;
    this.#sleep();
  }

  #sleep() {
    const leftMs = this.#busyUntil - performance.now();
    this.#timer = setTimeout(
      () => {
        if (this.#busyUntil > performance.now()) {
          this.#sleep();
          return;
        }
        this.#timer = undefined;
        const ended = this.#queue.shift();
        if (ended !== undefined) settle(ended.task, ended.ms);
        this.#next();
      },
      Math.max(0, leftMs),
    );
  }
}

/**
 * @param {BackendTask} task
 * @param {number} computeMs
 */
function settle(task, computeMs) {
  const data = Uint8Array.from(task.inputs[0]?.tensor.bytes ?? []);
  task.settle({
    ok: true,
    outputs: [{ name: 'bytes', tensor: adoptTensor('UINT8', [data], [data.byteLength]) }],
    timing: { queueMs: 0, transferMs: 0, computeMs, batchSize: 1 },
  });
}
