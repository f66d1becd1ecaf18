import type {
  ArgTypeName,
  DataTypeName,
  DeviceKindName,
  ErrorCodeName,
  HealthStateName,
} from '@axle/core';

import type { CredentialName, SpecRoleName } from '../generated/wire.js';

// The frames of proto/PROTOCOL.md, which says what each field means. `id` is the handle, 0 where there is none.

interface Framed {
  readonly id: number;
}

/** What both sides tell about what they take. */
interface Greeting extends Framed {
  readonly version: number;
  readonly versionMin: number;
  readonly versionMax: number;
  /** `WireFeature`s, combined with OR. */
  readonly features: number;
  readonly payloadMax: number;
  readonly streamWindow: number;
  readonly connectionWindow: number;
  readonly tenant: string;
  readonly agent: string;
}

export interface HelloFrame extends Greeting {
  readonly type: 'HELLO';
  readonly credential: CredentialName;
  /** 16 bytes. */
  readonly nonce: Uint8Array;
  readonly token: Uint8Array;
}

export interface WelcomeFrame extends Greeting {
  readonly type: 'WELCOME';
  /** 16 bytes. */
  readonly instance: Uint8Array;
  readonly callsMax: number;
  readonly handlesMax: number;
  readonly idleMs: number;
  readonly requestBytesMax: number;
  readonly modelBytesMax: number;
  readonly lastHandle: number;
  readonly resumeMs: number;
}

export interface GoawayFrame extends Framed {
  readonly type: 'GOAWAY';
  readonly code: ErrorCodeName;
  /** A number of `WireErrorId`, 0 = none. */
  readonly wireError: number;
  readonly versionMin: number;
  readonly versionMax: number;
  readonly last: number;
  readonly graceMs: number;
  readonly alternate: string;
  readonly message: string;
}

/** Frames that are all said by their type and id. */
export interface BareFrame extends Framed {
  readonly type: 'PING' | 'PONG' | 'CANCEL' | 'ACK' | 'LIST' | 'RELEASE' | 'DONE';
}

export interface CreditFrame extends Framed {
  readonly type: 'CREDIT';
  readonly bytes: number;
}

export interface HealthFrame extends Framed {
  readonly type: 'HEALTH';
  readonly device: number;
  readonly state: HealthStateName;
  readonly waitUs: number;
  readonly message: string;
}

export type WireArg =
  | { readonly name: string; readonly type: 'BOOL'; readonly value: boolean }
  | { readonly name: string; readonly type: 'INT' | 'FLOAT'; readonly value: number }
  | { readonly name: string; readonly type: 'STRING'; readonly value: string }
  | { readonly name: string; readonly type: 'BYTES'; readonly value: Uint8Array };

export interface BindFrame extends Framed {
  readonly type: 'BIND';
  readonly strict: boolean;
  readonly names: boolean;
  readonly labels: boolean;
  readonly steps: boolean;
  readonly op: number;
  readonly opVersion: number;
  readonly first: number;
  readonly last: number;
  readonly opName: string;
  readonly device: string;
  readonly model: number;
  readonly outputBytesMax: number;
  readonly args: readonly WireArg[];
  readonly inputNames: readonly string[];
}

export interface TraceContext {
  /** 16 bytes. */
  readonly traceId: Uint8Array;
  /** 8 bytes. */
  readonly parentId: Uint8Array;
  readonly traceFlags: number;
}

/** A range of shared memory. */
export interface Place {
  readonly arena: number;
  readonly offset: number;
  readonly bytes: number;
}

interface TensorHead {
  readonly slot: number;
  readonly dtype: DataTypeName;
  readonly shape: readonly number[];
  /** Of an output, if its binding asked for names; else ''. */
  readonly name: string;
}

export interface InlineTensor extends TensorHead {
  readonly source: 'INLINE';
  /** After decoding a view of the memory that the frame came in. */
  readonly data: Uint8Array;
}

/** Its bytes come in DATA frames, or do not come at all. */
export interface AbsentTensor extends TensorHead {
  readonly source: 'FOLLOWS' | 'OMITTED';
  readonly bytes: number;
}

export interface SharedTensor extends TensorHead {
  readonly source: 'SHARED';
  readonly bytes: number;
  readonly arena: number;
  readonly offset: number;
}

export interface HandleTensor {
  readonly source: 'HANDLE';
  readonly slot: number;
  readonly handle: number;
  readonly output: number;
}

export type InputTensor = InlineTensor | AbsentTensor | SharedTensor | HandleTensor;
export type OutputTensor = InlineTensor | AbsentTensor | SharedTensor;
export type WireTensor = InputTensor | OutputTensor;

export interface CallFrame extends Framed {
  readonly type: 'CALL';
  readonly keep: boolean;
  readonly omit: boolean;
  readonly replay: boolean;
  readonly binding: number;
  readonly deadlineUs: number;
  readonly priority: number;
  readonly place: Place | undefined;
  readonly trace: TraceContext | undefined;
  readonly inputs: readonly InputTensor[];
}

export interface StreamFrame extends Framed {
  readonly type: 'STREAM';
  readonly binding: number;
  readonly deadlineUs: number;
  readonly priority: number;
  readonly trace: TraceContext | undefined;
}

export interface PutFrame extends Framed {
  readonly type: 'PUT';
  /** Neither named nor omitted. */
  readonly tensor: OutputTensor;
}

export interface ModelFrame extends Framed {
  readonly type: 'MODEL';
  readonly manifest: boolean;
  readonly content: boolean;
  readonly named: boolean;
  /** 32 bytes. */
  readonly contentId: Uint8Array;
  readonly bytes: number;
  readonly manifestBytes: number;
  readonly name: string;
  readonly format: string;
  readonly entry: string;
}

export interface LoadFrame extends Framed {
  readonly type: 'LOAD';
  readonly strict: boolean;
  readonly model: number;
  readonly deadlineUs: number;
  readonly priority: number;
  readonly device: string;
}

export interface PublishFrame extends Framed {
  readonly type: 'PUBLISH';
  readonly replace: boolean;
  readonly model: number;
  readonly name: string;
  readonly version: string;
}

export interface RemoveFrame extends Framed {
  readonly type: 'REMOVE';
  readonly name: string;
  readonly version: string;
}

export interface DescribeFrame extends Framed {
  readonly type: 'DESCRIBE';
  readonly watch: boolean;
}

export interface ReadFrame extends Framed {
  readonly type: 'READ';
  readonly model: number;
  readonly file: string;
}

export interface WireStep {
  readonly first: number;
  readonly last: number;
  readonly batchSize: number;
  readonly device: number;
  readonly queueUs: number;
  readonly transferUs: number;
  readonly computeUs: number;
}

export interface WireFallback {
  readonly code: ErrorCodeName;
  readonly device: number;
  readonly message: string;
}

export interface ResultFrame extends Framed {
  readonly type: 'RESULT';
  readonly queueUs: number;
  readonly transferUs: number;
  readonly computeUs: number;
  readonly totalUs: number;
  readonly batchSize: number;
  readonly device: number;
  readonly outputs: readonly OutputTensor[];
  readonly steps: readonly WireStep[];
  readonly fallbacks: readonly WireFallback[];
}

export interface ErrorFrame extends Framed {
  readonly type: 'ERROR';
  readonly retryable: boolean;
  readonly outcomeUnknown: boolean;
  /** A number that is not known here is read as UNKNOWN. */
  readonly code: ErrorCodeName;
  readonly device: number;
  readonly retryAfterUs: number;
  readonly cause: number;
  readonly message: string;
  readonly detail: string;
}

export interface BoundFrame extends Framed {
  readonly type: 'BOUND';
  readonly score: number;
  readonly opFlags: number;
  readonly device: number;
}

export interface LoadedFrame extends Framed {
  readonly type: 'LOADED';
  readonly memoryBytes: number;
  readonly device: number;
  readonly inputCount: number;
  readonly outputCount: number;
}

export interface ByteRange {
  readonly offset: number;
  readonly bytes: number;
}

export interface NeedFrame extends Framed {
  readonly type: 'NEED';
  readonly manifest: boolean;
  readonly ranges: readonly ByteRange[];
}

export interface DeviceFrame extends Framed {
  readonly type: 'DEVICE';
  readonly index: number;
  readonly kind: DeviceKindName;
  readonly health: HealthStateName;
  readonly deviceFlags: number;
  readonly memoryBytes: number;
  readonly parallel: number;
  readonly waitUs: number;
  readonly device: string;
  readonly name: string;
  readonly backend: string;
  readonly backendVersion: string;
  readonly message: string;
}

export interface OpFrame extends Framed {
  readonly type: 'OP';
  readonly op: number;
  readonly opVersion: number;
  readonly first: number;
  readonly last: number;
  readonly opFlags: number;
  readonly batchMax: number;
  readonly argCount: number;
  readonly inputCount: number;
  readonly outputCount: number;
  readonly name: string;
  readonly doc: string;
  /** 32 bytes, a bit for each device. */
  readonly devices: Uint8Array;
}

export interface ArgSpecFrame extends Framed {
  readonly type: 'ARG_SPEC';
  readonly argType: ArgTypeName;
  readonly required: boolean;
  readonly index: number;
  readonly name: string;
  readonly doc: string;
}

export interface TensorSpecFrame extends Framed {
  readonly type: 'TENSOR_SPEC';
  readonly anyRank: boolean;
  readonly role: SpecRoleName;
  readonly dtype: DataTypeName;
  readonly index: number;
  readonly name: string;
  readonly shape: readonly number[];
}

export interface ModelEntryFrame extends Framed {
  readonly type: 'MODEL_ENTRY';
  /** 32 bytes. */
  readonly contentId: Uint8Array;
  readonly bytes: number;
  readonly batchMax: number;
  readonly labels: number;
  readonly name: string;
  readonly version: string;
  readonly format: string;
  readonly problem: string;
  readonly inputCount: number;
  readonly outputCount: number;
}

export interface DataFrame extends Framed {
  readonly type: 'DATA';
  readonly end: boolean;
  /** After decoding a view of the memory that the frame came in. */
  readonly data: Uint8Array;
}

export interface ArenaFrame extends Framed {
  readonly type: 'ARENA';
  readonly arena: number;
  readonly bytes: number;
  /** 16 bytes. */
  readonly ticket: Uint8Array;
}

export interface ArenaReadyFrame extends Framed {
  readonly type: 'ARENA_READY';
  readonly arena: number;
}

export interface AttachFrame extends Framed {
  readonly type: 'ATTACH';
  /** 16 bytes. */
  readonly ticket: Uint8Array;
}

export interface AttachedFrame extends Framed {
  readonly type: 'ATTACHED';
  readonly arena: number;
  readonly bytes: number;
}

export interface UsedFrame extends Framed {
  readonly type: 'USED';
  readonly device: number;
  readonly usedUs: number;
}

export type Frame =
  | HelloFrame
  | WelcomeFrame
  | GoawayFrame
  | BareFrame
  | CreditFrame
  | HealthFrame
  | BindFrame
  | CallFrame
  | StreamFrame
  | PutFrame
  | ModelFrame
  | LoadFrame
  | PublishFrame
  | RemoveFrame
  | DescribeFrame
  | ReadFrame
  | ResultFrame
  | ErrorFrame
  | BoundFrame
  | LoadedFrame
  | NeedFrame
  | DeviceFrame
  | OpFrame
  | ArgSpecFrame
  | TensorSpecFrame
  | ModelEntryFrame
  | DataFrame
  | ArenaFrame
  | ArenaReadyFrame
  | AttachFrame
  | AttachedFrame
  | UsedFrame;

export type FrameOf<T extends Frame['type']> = Extract<Frame, { readonly type: T }>;
