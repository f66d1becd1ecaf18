import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';

import type { Headers } from '../calls/function-call.js';
import type { BasicAuth } from './basic-auth.js';

/** Of one connection, and no part of what is said over it. */
const hopByHop = new Set([
  ...['connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection'],
  ...['te', 'trailer', 'transfer-encoding', 'upgrade', 'expect'],
]);

/** Headers of a request as a function sees them. The password of the front end is none of its business. */
export function requestHeaders(
  { rawHeaders, socket }: IncomingMessage,
  auth: BasicAuth,
  callId: string,
): Headers {
  const headers: Record<string, string | string[]> = Object.create(null) as Record<
    string,
    string | string[]
  >;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] as string).toLowerCase();
    const value = rawHeaders[at + 1] as string;
    if (hopByHop.has(name)) continue;
    if (name === 'authorization' && auth.matches(value)) continue;
    const before = headers[name];
    headers[name] = before === undefined ? value : [...[before].flat(), value];
  }
  const { remoteAddress } = socket;
  if (remoteAddress !== undefined) {
    headers['x-forwarded-for'] = [headers['x-forwarded-for'] ?? [], remoteAddress]
      .flat()
      .join(', ');
  }
  headers['x-call-id'] = callId;
  return headers;
}

/** Headers of an answer as the client gets them. */
export function answerHeaders(headers: Headers): OutgoingHttpHeaders {
  const kept: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!hopByHop.has(name)) kept[name] = typeof value === 'string' ? value : [...value];
  }
  return kept;
}
