import { AsyncLocalStorage } from 'node:async_hooks';
import { channel, tracingChannel } from 'node:diagnostics_channel';
import { createRequire } from 'node:module';

import { AxleError, type CallEvent, type CallSummary, type TaskEvent } from '@axle/core';
import { argumentError, setTracePropagator, type TracePropagator } from '@axle/core/internal';
import {
  context,
  isSpanContextValid,
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
  type Attributes,
  type Span,
  type Tracer,
  type TracerProvider,
} from '@opentelemetry/api';

import { forgoAutomaticTracing } from './automatic-tracing.js';
import { outcomeCode } from './outcome-code.js';

export interface TracingOptions {
  /** Default: the one that is registered with the OpenTelemetry API. */
  readonly tracerProvider?: TracerProvider | undefined;
}

/** The span of a call, and the two clocks at its start: by them its tasks are placed inside it. */
interface CallSpan {
  readonly span: Span;
  readonly startEpochMs: number;
  readonly startedAt: number;
}

const calls = tracingChannel<CallSpan, CallEvent>('axle.call');
const tasks = channel('axle.task');
const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

let stopCurrent: (() => void) | undefined;

/**
 * Makes OpenTelemetry spans of the calls of all clients of this process: `axle OP` for a call, a child of the span that
 * is active where it is made, and `axle step STEP` for each of its tasks. A server continues the traces of its clients. Their attributes are `axle.op`, `axle.tenant`,
 * `axle.model`, `axle.device`, `axle.step`, `axle.batch_size`, `axle.fallbacks`, the milliseconds `axle.queue_ms`,
 * `axle.transfer_ms` and `axle.compute_ms`, and `error.type`, which is the code. Nothing of what a call works on is in
 * them. The status of a call that failed has the message of its AxleError, which may show a path, a name or the value of
 * an option.
 *
 * `connect` does this by itself where an SDK is registered by then. Tracing is one of the process: to enable it again
 * replaces what was enabled before.
 *
 * @returns what ends it
 * @throws AxleError INVALID_ARGUMENT for what is no tracer provider; what was enabled before stays.
 */
export function enableTracing(options: TracingOptions = {}): () => void {
  const tracer = providerOf(options).getTracer('axle', version);
  forgoAutomaticTracing();
  stopCurrent?.();
  const stop = subscribe(tracer);
  stopCurrent = stop;
  return () => {
    if (stopCurrent !== stop) return;
    stopCurrent = undefined;
    stop();
  };
}

/** Callers in plain JavaScript have no types to tell them. */
function providerOf(options: unknown): TracerProvider {
  if (typeof options !== 'object' || options === null) {
    throw argumentError('options', options, 'an object, or nothing');
  }
  const { tracerProvider = trace } = options as { readonly tracerProvider?: unknown };
  if (isTracerProvider(tracerProvider)) return tracerProvider;
  throw argumentError(
    "'tracerProvider'",
    tracerProvider,
    'a TracerProvider of OpenTelemetry, or nothing for the registered one',
  );
}

function isTracerProvider(value: unknown): value is TracerProvider {
  if (typeof value !== 'object' || value === null) return false;
  return 'getTracer' in value && typeof value.getTracer === 'function';
}

function subscribe(tracer: Tracer): () => void {
  const current = new AsyncLocalStorage<CallSpan>();
  const spans = new WeakMap<CallEvent, Span>();
  const onStart = (event: CallEvent): CallSpan => {
    const callSpan = startCall(tracer, event);
    spans.set(event, callSpan.span);
    return callSpan;
  };
  const onEnd = (event: CallEvent) => {
    const span = spans.get(event);
    if (span !== undefined) endCall(span, event);
  };
  const onTask = (event: unknown) => {
    const call = current.getStore();
    if (call !== undefined) recordTask(tracer, call, event as TaskEvent);
  };
  setTracePropagator(propagatorOf(current));
  calls.start.bindStore(current, onStart);
  calls.asyncEnd.subscribe(onEnd as (event: unknown) => void);
  tasks.subscribe(onTask);
  return () => {
    setTracePropagator(undefined);
    calls.start.unbindStore(current);
    calls.asyncEnd.unsubscribe(onEnd as (event: unknown) => void);
    tasks.unsubscribe(onTask);
  };
}

/** Joins the spans of a client, of its server and of what that hands on to. */
function propagatorOf(current: AsyncLocalStorage<CallSpan>): TracePropagator {
  return {
    active() {
      const span = current.getStore()?.span ?? trace.getActiveSpan();
      const active = span?.spanContext();
      if (active === undefined || !isSpanContextValid(active)) return undefined;
      return {
        traceId: Buffer.from(active.traceId, 'hex'),
        parentId: Buffer.from(active.spanId, 'hex'),
        traceFlags: active.traceFlags,
      };
    },
    continued({ traceId, parentId, traceFlags }, work) {
      const from = {
        traceId: Buffer.from(traceId).toString('hex'),
        spanId: Buffer.from(parentId).toString('hex'),
        traceFlags,
        isRemote: true,
      };
      return context.with(trace.setSpanContext(ROOT_CONTEXT, from), work);
    },
  };
}

function startCall(tracer: Tracer, { op, tenant }: CallEvent): CallSpan {
  const attributes = { 'axle.op': op, 'axle.tenant': tenant };
  const span = tracer.startSpan(`axle ${op}`, { attributes }, context.active());
  return { span, startEpochMs: Date.now(), startedAt: performance.now() };
}

function endCall(span: Span, event: CallEvent): void {
  if ('error' in event) fail(span, event.error);
  else if (event.result !== undefined) span.setAttributes(reportAttributes(event.result));
  span.end();
}

/** It is told of when it is over, so its span is made after the fact. */
function recordTask(tracer: Tracer, call: CallSpan, event: TaskEvent): void {
  const { op, step, device, model, tenant, code, queueMs, ran } = event;
  const endMs = call.startEpochMs + performance.now() - call.startedAt;
  const spentMs = queueMs + (ran === undefined ? 0 : ran.transferMs + ran.computeMs);
  const attributes: Attributes = {
    'axle.op': op,
    'axle.tenant': tenant,
    'axle.step': step,
    'axle.device': device,
    'axle.queue_ms': queueMs,
  };
  if (model !== undefined) attributes['axle.model'] = model;
  if (ran !== undefined) {
    attributes['axle.transfer_ms'] = ran.transferMs;
    attributes['axle.compute_ms'] = ran.computeMs;
    attributes['axle.batch_size'] = ran.batchSize;
  }
  const options = { startTime: Math.max(call.startEpochMs, endMs - spentMs), attributes };
  const parent = trace.setSpan(context.active(), call.span);
  const span = tracer.startSpan(`axle step ${step}`, options, parent);
  if (code !== 'OK') {
    span.setAttribute('error.type', code);
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end(endMs);
}

/** The message of an error that is not ours may hold anything, so it is left out. */
function fail(span: Span, error: unknown): void {
  span.setAttribute('error.type', outcomeCode(error));
  const message = error instanceof AxleError ? { message: error.message } : {};
  span.setStatus({ code: SpanStatusCode.ERROR, ...message });
}

function reportAttributes({ device, timingMs, fallbacks, model }: CallSummary): Attributes {
  return {
    'axle.device': device,
    'axle.queue_ms': timingMs.queue,
    'axle.transfer_ms': timingMs.transfer,
    'axle.compute_ms': timingMs.compute,
    'axle.fallbacks': fallbacks.length,
    ...(model === undefined ? {} : { 'axle.model': model }),
  };
}
