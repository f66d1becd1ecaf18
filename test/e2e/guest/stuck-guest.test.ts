import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { connect } from 'axle';
import { beforeAll, describe, expect, it } from 'vitest';

import { build, clientSources, machines } from '../../guest/machines.mjs';
import { bytesOf, serveUnix } from '../serve.js';

let endpoint = '';
let command: readonly string[] = [];

beforeAll(async () => {
  endpoint = (await serveUnix('stuck.sock')).endpoint;
  const sources = [...clientSources, 'posix/transport.c', 'test/bad_guest.c'];
  command = build(machines[0], 'bad-guest', sources, ['-D_POSIX_C_SOURCE=200809L']);
});

/** Compresses, on a connection of its own. */
async function isServed(): Promise<boolean> {
  const axle = await connect(endpoint);
  try {
    const { data } = await axle.compress(bytesOf(65_536));
    return data.byteLength > 0;
  } finally {
    await axle.close();
  }
}

describe('a guest that', () => {
  it.each(['never-reads', 'stops-in-frame'])(
    '%s keeps nobody else from being served',
    async (how) => {
      const [program = '', ...args] = command;
      const guest = spawn(program, [...args, endpoint.replace('axle+unix:', ''), how]);
      const ended = once(guest, 'close');
      try {
        const [line] = (await once(createInterface(guest.stdout), 'line')) as [string];
        expect(line).toBe('stuck');
        expect(await isServed()).toBe(true);
        expect(guest.exitCode).toBeNull();
      } finally {
        guest.kill('SIGKILL');
      }
      await ended;
      expect(await isServed()).toBe(true);
    },
  );
});
