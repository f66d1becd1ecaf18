import type { AnswerTiming, ServerSums } from './tally.js';

/** What is called, and how. */
export interface Target {
  /** 'mlp', 'compress'. */
  readonly name: string;
  /** A URL; 'local:' is this process. */
  readonly via: string;
  /** Of one request. */
  readonly items: number;
  /** @param index of the request, from 0 */
  send(index: number): Promise<AnswerTiming | undefined>;
  /** What the server has done so far; without it, answers say what they took. */
  readonly serverSums?: () => Promise<ServerSums | undefined>;
  close(): Promise<void>;
}
