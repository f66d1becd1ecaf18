import type { Socket } from 'node:net';

import { GuestError } from './guest-error.js';

/** `OK 4294967295\n` has 14 bytes. */
const answerBytesMax = 14;
const newline = 10;

/**
 * Asks a virtual machine monitor such as Firecracker, on the socket of its vsock device, for a connection to a port of the
 * guest: `CONNECT port\n`, which it answers with `OK port\n` and a port of the host's side, or by hanging up. What comes
 * after the answer is the guest's, and stays in the socket, which is paused.
 *
 * @param socket connected, and read by nobody else
 * @returns the port of the host's side
 * @throws GuestError UNAVAILABLE where no guest takes the connection, or the answer is another one; DEADLINE_EXCEEDED where
 * none came in `timeoutMs`; or as `signal` says. The socket is the caller's to close.
 */
export function connectToGuestPort(
  socket: Socket,
  port: number,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<number> {
  return new Promise((resolve, reject) => {
    let answer = Buffer.alloc(0);
    const stop = (): void => {
      clearTimeout(timer);
      socket.off('data', take).off('end', refused).off('close', refused).off('error', broken);
      signal?.removeEventListener('abort', abort);
      socket.pause();
    };
    const fail = (reason: Error): void => {
      stop();
      reject(reason);
    };
    const take = (data: Buffer): void => {
      answer = Buffer.concat([answer, data]);
      const end = answer.subarray(0, answerBytesMax).indexOf(newline);
      if (end === -1 && answer.length < answerBytesMax) return;
      const hostPort = portOf(answer.subarray(0, end === -1 ? answerBytesMax : end));
      if (hostPort === undefined || end === -1) {
        fail(wrongAnswer(answer));
        return;
      }
      stop();
      const rest = answer.subarray(end + 1);
      if (rest.length > 0) socket.unshift(rest);
      resolve(hostPort);
    };
    const refused = (): void => {
      fail(
        new GuestError('UNAVAILABLE', `no guest takes connections to its port ${port}; is it up?`),
      );
    };
    const broken = (error: Error): void => {
      fail(new GuestError('UNAVAILABLE', `the monitor broke the connection off: ${error.message}`));
    };
    const abort = (): void => {
      fail(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      fail(new GuestError('DEADLINE_EXCEEDED', `the monitor gave no answer in ${timeoutMs} ms`));
    }, timeoutMs);
    signal?.addEventListener('abort', abort, { once: true });
    socket.on('data', take).once('end', refused).once('close', refused).once('error', broken);
    if (signal?.aborted === true) abort();
    else socket.write(`CONNECT ${port}\n`);
  });
}

function portOf(line: Uint8Array): number | undefined {
  const [, digits] = /^OK (\d{1,10})$/.exec(Buffer.from(line).toString('latin1')) ?? [];
  const port = Number(digits);
  return digits !== undefined && port <= 0xffff_ffff ? port : undefined;
}

function wrongAnswer(answer: Uint8Array): GuestError {
  const said = JSON.stringify(Buffer.from(answer.subarray(0, answerBytesMax)).toString('latin1'));
  return new GuestError(
    'UNAVAILABLE',
    `the answer to CONNECT was ${said}, and not OK; give the socket of a monitor's vsock device`,
  );
}
