import type { TraceContext } from '@axle/core/internal';

const pattern =
  /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(?:-|$)/;

/** A header `traceparent` of W3C trace context; undefined for none, or one that means nothing. */
export function readTraceparent(text: string | undefined): TraceContext | undefined {
  const [, traceId, parentId, flags] = pattern.exec(text ?? '') ?? [];
  if (traceId === undefined || parentId === undefined || flags === undefined) return undefined;
  return {
    traceId: Buffer.from(traceId, 'hex'),
    parentId: Buffer.from(parentId, 'hex'),
    traceFlags: parseInt(flags, 16),
  };
}
