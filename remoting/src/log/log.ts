/** For people, or for programs: one object of JSON on each line. */
export type LogFormat = 'text' | 'json';
export const logFormats: readonly LogFormat[] = ['text', 'json'];

export type LogLevel = 'info' | 'warn' | 'error';

/** What a line is about, for those who search by it. Never a secret, an input or an output. */
export interface LogFields {
  /** Default: info. */
  readonly level?: LogLevel;
  readonly tenant?: string | undefined;
  /** Of the request that the line is about. */
  readonly requestId?: string | undefined;
  /** Where connections come in: a path, or HOST:PORT. */
  readonly listener?: string | undefined;
  /** Number of a connection since the server began. */
  readonly connection?: number | undefined;
  readonly op?: string | undefined;
  readonly model?: string | undefined;
  /** Of the registry of errors, or OK. */
  readonly code?: string | undefined;
  /** Hex, where the caller traces. */
  readonly traceId?: string | undefined;
  readonly ms?: number | undefined;
  readonly queueMs?: number | undefined;
  readonly computeMs?: number | undefined;
  /** Of tensors and bodies, without what a protocol wraps around them. */
  readonly bytesIn?: number | undefined;
  readonly bytesOut?: number | undefined;
}

/** Takes a line for the operator. */
export type Log = (message: string, fields?: LogFields) => void;
