// Runs in a thread of its own.
import { AxleError } from '@axle/core/internal';
import { Piscina } from 'piscina';

import { writeJson } from './infer-answer.js';
import { readInferJson } from './infer-body.js';
import type { JsonOutcome, JsonTask, JsonValue } from './json-task.js';
import { readOptions } from './request-options.js';
import { readSettings } from './settings-json.js';

/** @returns what the pool takes for a `JsonOutcome` whose memory goes over */
export function run(task: JsonTask): unknown {
  try {
    const value = valueOf(task);
    return handedOver({ value }, memoryOf(value));
  } catch (error) {
    if (!(error instanceof AxleError)) throw error;
    const { code, message, retryable } = error;
    return { code, message, retryable } satisfies JsonOutcome;
  }
}

function valueOf(task: JsonTask): JsonValue {
  switch (task.kind) {
    case 'readInfer':
      return readInferJson(task.json, task.bytesMax);
    case 'readOptions':
      return readOptions(task.json, task.bytesMax);
    case 'readSettings':
      return readSettings(task.json, task.bytesMax);
    case 'writeAnswer':
      return writeJson(task.answer);
  }
}

function memoryOf(value: JsonValue): ArrayBuffer[] {
  if (value instanceof Uint8Array) return wholeOf(value);
  return 'inputs' in value ? value.inputs.flatMap(({ data }) => wholeOf(data)) : [];
}

/** Small Buffers share their memory with others, and are copied. */
function wholeOf(bytes: Uint8Array | undefined): ArrayBuffer[] {
  if (bytes === undefined || bytes.byteLength !== bytes.buffer.byteLength) return [];
  return [bytes.buffer as ArrayBuffer];
}

function handedOver(outcome: JsonOutcome, memory: readonly ArrayBuffer[]): unknown {
  return Piscina.move({
    [Piscina.transferableSymbol]: memory,
    [Piscina.valueSymbol]: outcome,
  } as unknown as ArrayBuffer);
}
