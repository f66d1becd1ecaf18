import type { TaskOutcome } from './backend.js';
import type { NativeBinding } from './native-binding.js';
import type { Preference } from './plans/router.js';

/** As in `limits.h` of the addon: enough for a few of the longest frames. */
const framesBytes = 256 * 1024;
const numbersCount = 7;

/** What the calls of a lane have in common. */
export interface LaneKind {
  readonly queueId: number;
  readonly argsId: number;
  readonly op: number;
  readonly version: number;
  readonly first: number;
  readonly last: number;
  readonly outputBytesMax: number;
  /** Tasks of one submit. */
  readonly batchMax: number;
}

/** How the connection speaks of them. */
export interface LaneWire {
  /** Handle of the binding. */
  readonly binding: number;
  /** What the other side takes in one frame. */
  readonly payloadMax: number;
  /** The device as RESULT calls it. */
  readonly deviceIndex: number;
  readonly namesOutputs: boolean;
  readonly inputNames: readonly string[];
}

/** Whose calls go on a lane, for backends that share devices out themselves. */
export interface LaneCaller {
  readonly tenant: string;
  readonly preference: Preference;
}

/** Calls of one binding of one connection, from its bytes to a backend. */
export interface Lane {
  /** Of the last `take` that took some. */
  readonly calls: number;
  readonly inputBytes: number;
  readonly lastHandle: number;

  /** Takes plain CALLs as they lie in `bytes`. @returns their bytes; 0 = none */
  take(bytes: Buffer, at: number, callsMax: number, handleMin: number): number;
  /** @returns the bytes of its inputs; undefined: it is not in flight */
  forget(handle: number): number | undefined;
  forgetAll(): void;
  /** To be called with nothing in flight. */
  close(): void;
}

/** Calls that are over. All bytes are valid until the next turn only. */
export interface LaneAnswers {
  readonly results: number;
  /** RESULT frames. */
  readonly frames: Uint8Array;
  readonly returned: number;
  /** CALL frames as they came: of calls that the device failed, or whose outputs do not fit a frame. */
  readonly returnedFrames: Uint8Array;
  /** Of all of them. */
  readonly inputBytes: number;
  /** Of those with a result, on the device. */
  readonly workMs: number;
  /** Of calls that were forgotten: the device is done with them. They count in nothing else. */
  readonly forgotten: number;
}

export interface LaneListener {
  answered(answers: LaneAnswers): void;
  /** One is over that was not among those answers: it failed for good, or its outputs do not fit a frame. */
  settled(handle: number, inputBytes: number, outcome: TaskOutcome): void;
}

const msPerNs = 1e-6;

/** The lanes of this Node environment. */
export class NativeLanes {
  private readonly numbers = new Float64Array(numbersCount);
  private readonly frames = new Uint8Array(framesBytes);
  private readonly listeners = new Map<number, LaneListener>();
  private connected = false;

  constructor(private readonly binding: NativeBinding) {}

  /** @throws Error with a status, as the addon's other calls. */
  open(kind: LaneKind, wire: LaneWire, listener: LaneListener): NativeLane {
    if (!this.connected) {
      this.binding.laneConnect(this.numbers, this.frames, (id) => {
        this.answered(id);
      });
      this.connected = true;
    }
    const { op, version, first, last, outputBytesMax, batchMax } = kind;
    const { payloadMax, deviceIndex } = wire;
    const id = this.binding.laneOpen(
      kind.queueId,
      wire.binding,
      kind.argsId,
      [op, version, first, last, outputBytesMax, batchMax, payloadMax, deviceIndex],
      wire.namesOutputs,
      wire.inputNames,
    );
    this.listeners.set(id, listener);
    return new NativeLane(this.binding, this.numbers, id, () => this.listeners.delete(id));
  }

  private answered(id: number): void {
    const [results = 0, resultBytes = 0, returned = 0, returnedBytes = 0, inputBytes = 0] =
      this.numbers;
    const [, , , , , ns = 0, forgotten = 0] = this.numbers;
    this.listeners.get(id)?.answered({
      results,
      frames: this.frames.subarray(0, resultBytes),
      returned,
      returnedFrames: this.frames.subarray(resultBytes, resultBytes + returnedBytes),
      inputBytes,
      workMs: ns * msPerNs,
      forgotten,
    });
  }
}

/** Calls of one binding of one connection. */
export class NativeLane implements Lane {
  /** Of the last `take` that took some. */
  calls = 0;
  inputBytes = 0;
  lastHandle = 0;

  constructor(
    private readonly binding: NativeBinding,
    private readonly numbers: Float64Array,
    private readonly id: number,
    private readonly onClose: () => void,
  ) {}

  /** Takes plain CALLs as they lie in `bytes`. @returns their bytes; 0 = none */
  take(bytes: Uint8Array, at: number, callsMax: number, handleMin: number): number {
    const { numbers } = this;
    const taken = this.binding.laneTake(this.id, bytes, at, callsMax, handleMin);
    if (taken === 0) return 0;
    this.calls = numbers[0] as number;
    this.inputBytes = numbers[1] as number;
    this.lastHandle = numbers[2] as number;
    return taken;
  }

  /** @returns the bytes of its inputs; undefined: it is not in flight */
  forget(handle: number): number | undefined {
    const bytes = this.binding.laneForget(this.id, handle);
    return bytes < 0 ? undefined : bytes;
  }

  forgetAll(): void {
    this.binding.laneForgetAll(this.id);
  }

  /** @throws Error with a status while the device has calls of it. */
  close(): void {
    this.binding.laneClose(this.id);
    this.onClose();
  }
}
