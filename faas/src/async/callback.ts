import { AxleError } from 'axle';

import { callbackMs, callbackUrlMax } from './async-limits.js';
import type { KeptAnswer, QueuedCall } from './queued-call.js';

/** Tells an answer to where the caller wants it. @throws AxleError UNAVAILABLE when it was not taken. */
export type Deliver = (
  call: QueuedCall,
  answer: KeptAnswer,
  body: Uint8Array,
  signal: AbortSignal,
) => Promise<void>;

/**
 * @param hosts names of hosts that callbacks may go to; undefined: any
 * @throws AxleError INVALID_ARGUMENT, PERMISSION_DENIED
 */
export function checkCallbackUrl(text: string, hosts: readonly string[] | undefined): string {
  const url = text.length <= callbackUrlMax && URL.canParse(text) ? new URL(text) : undefined;
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (url === undefined || !isHttp || url.username !== '' || url.password !== '') {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `X-Callback-Url takes an http: or https: URL of at most ${callbackUrlMax} characters, without a user`,
    );
  }
  if (hosts === undefined || hosts.includes(url.hostname)) return url.href;
  throw new AxleError(
    'PERMISSION_DENIED',
    `callbacks may not go to ${url.hostname}; the operator names hosts under callbackHosts`,
  );
}

/** By POST, as OpenFaaS does. Redirects are not followed: whoever named the URL answers for it. */
export const deliverByHttp: Deliver = async (call, answer, body, signal) => {
  const { id, functionName, callbackUrl = '', acceptedAt } = call;
  const type = answer.headers['content-type'];
  const late = AbortSignal.timeout(callbackMs);
  let status: number;
  try {
    const response = await fetch(callbackUrl, {
      method: 'POST',
      redirect: 'manual',
      signal: AbortSignal.any([signal, late]),
      headers: {
        'x-call-id': id,
        'x-function-name': functionName,
        'x-function-status': String(answer.status),
        'x-duration-seconds': (answer.durationMs / 1000).toFixed(6),
        'x-start-time': `${Date.parse(acceptedAt)}000000`,
        ...(typeof type === 'string' ? { 'content-type': type } : {}),
      },
      body,
    });
    status = response.status;
    await response.body?.cancel();
  } catch (error) {
    signal.throwIfAborted();
    const reason = late.aborted ? `no answer within ${callbackMs} ms` : reasonOf(error);
    throw new AxleError('UNAVAILABLE', `the callback was not taken: ${reason}`, { cause: error });
  }
  if (status < 200 || status > 299)
    throw new AxleError('UNAVAILABLE', `the callback was answered with ${status}`);
};

function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  return (cause as NodeJS.ErrnoException | undefined)?.code ?? message;
}
