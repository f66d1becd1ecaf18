import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

import { afterEach, describe, expect, it } from 'vitest';

import { ProcessTable } from '../src/instances/process-table.js';

const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

/** A leader of a session, once it has printed. */
async function lead(script: string): Promise<{ child: ChildProcess; pid: number; said: string }> {
  const child = spawn('sh', ['-c', script], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  started.push(child);
  const [said] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  return { child, pid: child.pid as number, said: String(said).trim() };
}

describe('a table of processes', () => {
  it('counts a session whenever it was seen first, and no other', async () => {
    const table = new ProcessTable();
    const { pid } = await lead('sleep 1000 & echo $!; wait');
    // As of an instance that waited until it was needed.
    table.look();
    table.add(pid);
    table.add(process.pid);
    expect(table.usageOf(pid).memoryBytes).toBe(0);
    table.look();
    expect(table.usageOf(pid).memoryBytes).toBeGreaterThan(0);
    table.remove(pid);
    expect(table.usageOf(pid)).toEqual({ memoryBytes: 0, cpus: 0 });
  });

  it('ends what left the session of its own, and nothing where there is none', async () => {
    const table = new ProcessTable();
    const { pid, said } = await lead('setsid sh -c "echo \\$\\$; exec sleep 1000" & wait');
    const other = await lead('echo up; exec sleep 1000');
    table.add(pid);
    table.look();
    table.remove(undefined);
    table.remove(0);
    table.remove(other.pid);
    expect(() => process.kill(Number(said), 0)).not.toThrow();
    table.remove(pid);
    const isThere = () => {
      try {
        return process.kill(Number(said), 0);
      } catch {
        return false;
      }
    };
    await expect.poll(isThere, { timeout: 30_000 }).toBe(false);
    expect(other.child.exitCode).toBe(null);
    expect(other.child.signalCode).toBe(null);
  });
});
