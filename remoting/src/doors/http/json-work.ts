import type { DoorClient } from '../door-clients.js';
import { jsonInlineBytesMax } from '../door-limits.js';
import type { DoorLimits } from '../door-limits.js';
import type { InferAnswer } from '../kserve/infer-request.js';
import {
  planAnswer,
  withTensors,
  writeJson,
  type AnswerJson,
  type PlannedAnswer,
  type WrittenAnswer,
} from './infer-answer.js';
import {
  jsonLengthOf,
  readInferJson,
  withBinary,
  type InferBody,
  type InferJson,
  type ModelPath,
} from './infer-body.js';
import { InferHeads } from './infer-heads.js';
import type { JsonThreads } from './json-threads.js';
import type { ReadKind } from './json-task.js';
import { readSettings } from './settings-json.js';
import type { ServerSettings } from '../kserve/operator-settings.js';
import { readOptions, type RequestOptions } from './request-options.js';

/** Reads and writes the JSON of requests: what is small at once, and what would keep everyone waiting on another thread. */
export class JsonWork {
  private threads: Promise<JsonThreads> | undefined;

  private readonly heads: InferHeads;

  constructor(private readonly limits: DoorLimits) {
    this.heads = new InferHeads(limits.jsonBytesMax);
  }

  /** @throws AxleError as `readInferBody`; RESOURCE_EXHAUSTED past a quota */
  readInfer(
    client: DoorClient,
    body: Buffer,
    header: string | undefined,
    path: ModelPath,
  ): InferBody | Promise<InferBody> {
    const length = jsonLengthOf(body, header);
    if (length <= jsonInlineBytesMax) {
      return withBinary(this.heads.read(body, length), body.subarray(length), path);
    }
    return this.read<InferJson>(client, body, length, 'readInfer', readInferJson).then((json) =>
      withBinary(json, body.subarray(length), path),
    );
  }

  /** @throws AxleError as `readOptions`; RESOURCE_EXHAUSTED past a quota */
  async readOptions(client: DoorClient, body: Buffer | undefined): Promise<RequestOptions> {
    const bytes = body ?? Buffer.alloc(0);
    return this.read(client, bytes, bytes.byteLength, 'readOptions', readOptions);
  }

  /** @throws AxleError as `readSettings`; RESOURCE_EXHAUSTED past a quota */
  async readSettings(client: DoorClient, body: Buffer | undefined): Promise<ServerSettings> {
    const bytes = body ?? Buffer.alloc(0);
    return this.read(client, bytes, bytes.byteLength, 'readSettings', readSettings);
  }

  /** @throws AxleError as `writeAnswer`; RESOURCE_EXHAUSTED past a quota */
  writeAnswer(
    client: DoorClient,
    answer: InferAnswer,
    answersBinary: boolean,
  ): WrittenAnswer | Promise<WrittenAnswer> {
    const planned = planAnswer(answer, answersBinary, this.limits.jsonBytesMax);
    const { json, jsonDataBytes, binary } = planned;
    if (jsonDataBytes <= jsonInlineBytesMax) return withTensors(writeJson(json), binary);
    return this.writeElsewhere(client, planned);
  }

  private async writeElsewhere(
    client: DoorClient,
    { json, jsonDataBytes, binary }: PlannedAnswer,
  ): Promise<WrittenAnswer> {
    const { name, usage } = client.tenant;
    usage.take('answerBytes', jsonDataBytes);
    try {
      const { copy, memory } = copied(json);
      const threads = await this.started();
      const task = { kind: 'writeAnswer', answer: copy } as const;
      return withTensors(await threads.run<Uint8Array>(name, task, memory), binary);
    } finally {
      usage.give('answerBytes', jsonDataBytes);
    }
  }

  async close(): Promise<void> {
    await (await this.threads)?.close();
  }

  /** @param length of the JSON, with which the body begins */
  private async read<T>(
    { tenant: { name, usage } }: DoorClient,
    body: Buffer,
    length: number,
    kind: ReadKind,
    readHere: (json: Uint8Array, bytesMax: number) => T,
  ): Promise<T> {
    const bytesMax = this.limits.jsonBytesMax;
    // What is too long is refused without a look at it.
    if (length <= jsonInlineBytesMax || length > bytesMax) {
      return readHere(body.subarray(0, length), bytesMax);
    }
    // The body stays, and its JSON is copied.
    const bytes = body.byteLength + length;
    usage.take('requestBytes', bytes);
    try {
      const threads = await this.started();
      const json = new Uint8Array(body.subarray(0, length));
      return await threads.run<T>(name, { kind, json, bytesMax }, [json.buffer]);
    } finally {
      usage.give('requestBytes', bytes);
    }
  }

  private started(): Promise<JsonThreads> {
    return (this.threads ??= import('./json-threads.js').then(
      ({ JsonThreads }) =>
        new JsonThreads(() => {
          this.threads = undefined;
        }),
    ));
  }
}

/** A view would go over with all the memory that it is a view of. */
function copied(json: AnswerJson): { readonly copy: AnswerJson; readonly memory: ArrayBuffer[] } {
  const memory: ArrayBuffer[] = [];
  const outputs = json.outputs.map((output) => {
    if (output.contents.kind !== 'data') return output;
    const bytes = new Uint8Array(output.contents.bytes);
    memory.push(bytes.buffer);
    return { ...output, contents: { kind: 'data', bytes } as const };
  });
  return { copy: { ...json, outputs }, memory };
}
