import { context, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  SimpleSpanProcessor,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-node';
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

import { limitsWith, Runtime } from '@axle/core/internal';
import { connect, shippedModels, type Client } from 'axle';
import { enableTracing } from 'axle/tracing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { callEnded } from './call-ended.js';
import { cpuPlugin } from './plugins.js';
import { folder } from './serve.js';
import { startServer } from './start-server.mjs';
import { TrustedServer } from './trusted-server.js';
import { GrpcClient, messageOf } from './doors/grpc-door.js';
import { bodyOf, RestClient } from './doors/rest-door.js';

const image = `${shippedModels}/samples/A.png`;
const exporter = new InMemorySpanExporter();
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const tracer = provider.getTracer('test');
let client: Client;

beforeAll(async () => {
  provider.register();
  client = await connect();
});
beforeEach(() => {
  exporter.reset();
});
afterAll(() => client.close());

const spans = () => exporter.getFinishedSpans();
const parentId = (span: ReadableSpan) => span.parentSpanContext?.spanId;

function only(name: string): ReadableSpan {
  const found = spans().filter((span) => span.name === name);
  expect(found).toHaveLength(1);
  return found[0] as ReadableSpan;
}

const ms = ([seconds, nanos]: readonly [number, number]) => seconds * 1000 + nanos / 1e6;

describe('with an OpenTelemetry SDK registered before connect', () => {
  it('continues the trace of a client on its server, in calls and in streams', async () => {
    const plugins = [{ name: 'cpu-fallback', ...cpuPlugin }];
    const runtime = await Runtime.start({ plugins, models: [], limits: limitsWith({}) });
    const server = await startServer(runtime, `unix:${join(folder, 'traced.sock')},tenant=far`);
    const remote = await connect(server.server.endpoints[0] as string);
    exporter.reset();
    await remote.compress(randomBytes(1000));
    await buffer(Readable.from([randomBytes(1000)]).pipe(remote.compressStream()));
    await remote.close();
    await server.close();
    await runtime.close();
    const calls = spans().filter(({ name }) => /^axle compress(Stream)?$/.test(name));
    for (const op of ['compress', 'compressStream']) {
      const [far, near] = ['far', 'local'].map((tenant) =>
        calls.find(({ attributes: { 'axle.op': its, 'axle.tenant': whose } }) => {
          return its === op && whose === tenant;
        }),
      ) as [ReadableSpan, ReadableSpan];
      expect(far.spanContext().traceId).toBe(near.spanContext().traceId);
      expect(parentId(far)).toBe(near.spanContext().spanId);
    }
  });

  it('continues the trace of a standard client, through every door and on to the device', async () => {
    const place = join(folder, 'doors');
    mkdirSync(place);
    const server = await TrustedServer.start(place, {
      grpc: [`unix:${join(place, 'grpc')}`],
      http: [`unix:${join(place, 'http')}`],
      models: [shippedModels],
    });
    const [grpcAt = '', httpAt = ''] = server.doorEndpoints;
    const request = {
      model: 'mlp',
      inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 1, 32, 32], values: [] }],
    };
    const raw = { raw: Buffer.alloc(4096) };
    const message = messageOf({ ...request, inputs: [{ ...request.inputs[0]!, ...raw }] }, 'raw');
    const body = Buffer.alloc(3 * 1024).toString('base64');
    const traceOf = (digit: string) => digit.repeat(32);
    const headerOf = (digit: string) => `00-${traceOf(digit)}-${'b'.repeat(16)}-01`;
    const grpc = new GrpcClient(grpcAt);
    await grpc.inference('ModelInfer', message, {}, { traceparent: headerOf('1') });
    const stream = 'inference.GRPCInferenceService';
    await grpc.stream(stream, 'ModelStreamInfer', [message], { traceparent: headerOf('2') });
    const pack = { data: Buffer.from(body) };
    await grpc.stream('axle.v1.Axle', 'CompressStream', [pack], { traceparent: headerOf('3') });
    grpc.close();
    const rest = new RestClient(httpAt);
    const { body: asked, jsonBytes } = bodyOf(
      { ...request, inputs: [{ ...request.inputs[0]!, ...raw }] },
      'binary',
    );
    const headers = { 'inference-header-content-length': jsonBytes, traceparent: headerOf('4') };
    expect((await rest.send('POST', '/v2/models/mlp/infer', asked, headers)).status).toBe(200);
    rest.close();
    await server.close();
    for (const digit of ['1', '2', '3', '4']) {
      const its = spans().filter((span) => span.spanContext().traceId === traceOf(digit));
      const call = its.find(({ name }) => /^axle (infer|compressStream)$/.test(name));
      expect(call && parentId(call)).toBe('b'.repeat(16));
      // A stream has one span.
      if (digit === '3') continue;
      const step = its.find(({ name }) => name === 'axle step infer');
      expect(step && parentId(step)).toBe(call?.spanContext().spanId);
      expect(step?.attributes['axle.device']).toBe('cpu-fallback:0');
    }
  });

  it('makes a span of a call under the active one, and one of each of its steps', async () => {
    const outer = tracer.startSpan('outer');
    const result = await context.with(trace.setSpan(context.active(), outer), () =>
      client.classify(image),
    );
    outer.end();

    const call = only('axle classify');
    expect(parentId(call)).toBe(outer.spanContext().spanId);
    expect(call.instrumentationScope).toMatchObject({ name: 'axle', version: '0.1.0' });
    expect(call.status.code).toBe(SpanStatusCode.UNSET);
    const common = { 'axle.op': 'classify', 'axle.tenant': 'local' };
    const { queue, transfer, compute } = result.timingMs;
    expect(call.attributes).toEqual({
      ...common,
      'axle.model': 'glyphs',
      'axle.device': 'cpu-fallback:0',
      'axle.queue_ms': queue,
      'axle.transfer_ms': transfer,
      'axle.compute_ms': compute,
      'axle.fallbacks': 0,
    });

    const steps = spans().filter((span) => parentId(span) === call.spanContext().spanId);
    expect(steps.map(({ name, attributes }) => ({ name, attributes }))).toEqual(
      result.steps.map(({ step, device, timingMs, batchSize }) => ({
        name: `axle step ${step}`,
        attributes: {
          ...common,
          'axle.step': step,
          'axle.device': device,
          ...(step === 'decode' ? {} : { 'axle.model': 'glyphs' }),
          'axle.queue_ms': timingMs.queue,
          'axle.transfer_ms': timingMs.transfer,
          'axle.compute_ms': timingMs.compute,
          'axle.batch_size': batchSize,
        },
      })),
    );
    for (const step of steps) {
      expect(ms(step.startTime)).toBeGreaterThanOrEqual(ms(call.startTime));
      // The clocks of two spans are read one after the other.
      expect(ms(step.endTime)).toBeLessThanOrEqual(ms(call.endTime) + 1);
    }
  });

  it('keeps the calls of different callers apart', async () => {
    await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        tracer.startActiveSpan(`caller ${i}`, async (span) => {
          await client.compress([randomBytes(1000), randomBytes(1000)]);
          await client.classify(image);
          span.end();
        }),
      ),
    );
    for (let i = 0; i < 8; i++) {
      const caller = only(`caller ${i}`).spanContext();
      const calls = spans().filter((span) => parentId(span) === caller.spanId);
      expect(calls.map(({ name }) => name)).toEqual([
        'axle compress',
        'axle compress',
        'axle classify',
      ]);
      for (const call of calls) {
        const children = spans().filter((s) => parentId(s) === call.spanContext().spanId);
        // The second step is begun where the first one ends, which is in nobody's context.
        const steps = call.name === 'axle classify' ? ['decode', 'preprocess..topk'] : ['compress'];
        expect(children.map(({ name }) => name)).toEqual(steps.map((step) => `axle step ${step}`));
        expect(children[0]?.spanContext().traceId).toBe(caller.traceId);
      }
    }
  });

  it('records an error with its code, on the call and on the step that failed', async () => {
    const call = client.decompress(Buffer.from('neither zstd nor gzip nor lz4'), { codec: 'zstd' });
    await expect(call).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    for (const name of ['axle decompress', 'axle step decompress']) {
      const { attributes, status } = only(name);
      expect(attributes['error.type']).toBe('INVALID_ARGUMENT');
      expect(status.code).toBe(SpanStatusCode.ERROR);
    }
    expect(only('axle decompress').status.message).toContain('zstd');
  });

  it('counts an abort as one, and keeps the words of foreign errors to itself', async () => {
    await expect(client.classify(image, { signal: AbortSignal.abort() })).rejects.toThrow();
    expect(only('axle classify').attributes['error.type']).toBe('CANCELLED');
    const broken = new Readable({
      read() {
        this.destroy(new Error('a secret'));
      },
    });
    await expect(client.compress(broken)).rejects.toThrow('a secret');
    const { attributes, status } = only('axle compress');
    expect(attributes['error.type']).toBe('UNKNOWN');
    expect(status.message).toBeUndefined();
  });

  it('makes one span of a stream, whatever its length, under the span that made it', async () => {
    const outer = tracer.startSpan('outer');
    const stream = context.with(trace.setSpan(context.active(), outer), () =>
      client.compressStream({ codec: 'lz4' }),
    );
    const data = randomBytes(20_000_000);
    const ended = callEnded();
    await buffer(
      Readable.from([data.subarray(0, 9_000_000), data.subarray(9_000_000)]).pipe(stream),
    );
    await ended;
    expect(spans().map(({ name }) => name)).toEqual(['axle compressStream']);
    const { attributes } = only('axle compressStream');
    expect(parentId(only('axle compressStream'))).toBe(outer.spanContext().spanId);
    expect(attributes).toMatchObject({ 'axle.device': 'cpu-fallback:0' });
    expect(attributes['axle.compute_ms']).toBeGreaterThan(0);
  });

  it('says of a stream that was given up or failed that it did not end well', async () => {
    const failed = callEnded();
    const stream = client.decompressStream({ codec: 'gzip' });
    await expect(buffer(Readable.from(['not gzip']).pipe(stream))).rejects.toThrow();
    await failed;
    expect(only('axle decompressStream').attributes['error.type']).toBe('INVALID_ARGUMENT');
    exporter.reset();
    const givenUp = callEnded();
    const left = client.compressStream();
    left.write('something');
    left.destroy();
    await givenUp;
    expect(only('axle compressStream').attributes['error.type']).toBe('CANCELLED');
  });
});

describe('enableTracing', () => {
  it('replaces what was enabled before, until it is ended', async () => {
    const own = new InMemorySpanExporter();
    const tracerProvider = new NodeTracerProvider({
      spanProcessors: [new SimpleSpanProcessor(own)],
    });
    const stop = enableTracing({ tracerProvider });
    await (await connect()).close();
    await client.compress(Buffer.from('x'));
    stop();
    await client.compress(Buffer.from('x'));
    expect(own.getFinishedSpans().map(({ name }) => name)).toEqual([
      'axle step compress',
      'axle compress',
    ]);
    expect(spans()).toEqual([]);
  });

  it('refuses what is no tracer provider, and goes on with what was enabled', async () => {
    const own = new InMemorySpanExporter();
    const tracerProvider = new NodeTracerProvider({
      spanProcessors: [new SimpleSpanProcessor(own)],
    });
    const stop = enableTracing({ tracerProvider });
    for (const options of [null, 5, { tracerProvider: 5 }, { tracerProvider: {} }]) {
      expect(() => enableTracing(options as never)).toThrow(
        expect.objectContaining({ name: 'AxleError', code: 'INVALID_ARGUMENT' }) as Error,
      );
    }
    await client.compress(Buffer.from('x'));
    stop();
    expect(own.getFinishedSpans()).toHaveLength(2);
  });
});
