import type { AxleError, Runtime, Session, TenantShare, Tensor } from '@axle/core/internal';

import type { GuestMemory } from '../shared-memory/guest-memory.js';
import type { ServerArena } from '../shared-memory/server-arena.js';
import type { Tenant } from '../trust/tenants.js';
import type { Frame } from '../wire/frames.js';
import type { ClientRecord } from './client-record.js';
import type { DeviceWatch } from './device-watch.js';
import type { Held } from './held.js';

/** What requests of a connection see of it. */
export interface Front {
  readonly runtime: Runtime;
  readonly session: Session;
  /** The client over its connections; undefined: it does not resume. */
  readonly client: ClientRecord | undefined;
  readonly watch: DeviceWatch;
  /** As whom the client waits for devices; undefined: it acts for others, too, and is told of all that waits. */
  readonly share: TenantShare | undefined;
  /** What is kept for the client beyond its request is charged to `tenant.usage`. */
  readonly tenant: Tenant;
  /** Longest payload that the client takes. */
  readonly payloadMax: number;
  /** All inputs of one call, and of those that are being sent, bytes. */
  readonly requestBytesMax: number;
  /** Announced by calls whose data is not all there, and in shared memory of calls under way, bytes. */
  bytesDue: number;
  /** Memory that the client shares; undefined: none. */
  readonly arena: ServerArena | undefined;
  /** Memory of the machine that the client is in; undefined: it does not share it. */
  readonly guestMemory: GuestMemory | undefined;
  /** Of tensors that stay here, all together, bytes. */
  readonly keptBytesMax: number;
  keptBytes: number;
  /** That are not answered. */
  streams: number;
  /** Handles that are not answered. */
  readonly unanswered: number;

  /** In the order of DESCRIBE. */
  deviceIndexOf(deviceId: string): number;
  /**
   * What a frame names. Undefined: it is closed.
   *
   * @throws WireError HANDLE_UNKNOWN for a handle that was never made.
   */
  named(id: number): Held | undefined;
  /** Why nothing is there under a handle that is closed: what it failed with, or NOT_FOUND. */
  notThere(id: number, what: string): AxleError;

  /** Whether a handle is that of a CALL without KEEP, answered not long ago. */
  wasNotKept(id: number): boolean;

  /**
   * The handle stands for it from now on, and is to be answered.
   *
   * @throws AxleError RESOURCE_EXHAUSTED past the tenant's quota of handles.
   */
  hold(id: number, held: Held): void;
  /** Sends the final answer of a handle; it goes on standing for what it holds if `keeps`. */
  answer(frame: Frame, following: readonly Tensor[], keeps: boolean): void;
  /** The final answer of a handle is ERROR; a FailedBefore says which other handle failed first. */
  fail(id: number, reason: unknown): void;

  /** Sends what is no final answer. */
  send(frame: Frame): void;
  /** Bytes of a stream; `onWritten` is told when they have found credit, unless the handle is answered before. */
  sendData(id: number, data: Uint8Array, onWritten: () => void): void;
  /** DATA of the handle comes from now on. */
  expectData(id: number): void;
  /** Data of the handle was used, so that more may come. */
  usedData(id: number, bytes: number): void;
  /** Neither sends nor expects data of the handle any more. */
  forgetData(id: number): void;
}
