import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { ThreadInstanceProvider } from '@axle/faas';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { bytesOf, isRunning, RunningFunctions, textOf } from './running-functions.js';

/** Time enough to be heard on a machine that has much to do. */
const graceMs = 2000;
const mebibyte = 1024 ** 2;
/** Of an end that nobody else tells of. */
const gone = { timeout: 30_000, interval: 5 };

let functions: RunningFunctions;
/** Where processes leave their numbers. */
const pids = mkdtempSync(join(tmpdir(), 'axle-pids-'));
beforeAll(async () => {
  process.env['AXLE_TOKEN'] = 'of the front end';
  functions = await RunningFunctions.open({ graceMs });
  functions.secrets.set('key', Buffer.from('a secret'));
});
afterAll(async () => {
  delete process.env['AXLE_TOKEN'];
  await functions[Symbol.asyncDispose]();
  rmSync(pids, { recursive: true });
});

/** A body that never ends, a chunk at a time, and how much of it was taken. */
class Endless implements AsyncIterable<Uint8Array> {
  bytes = 0;
  // eslint-disable-next-line @typescript-eslint/require-await -- bodies come so
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const chunk = new Uint8Array(64 * 1024);
    for (;;) {
      this.bytes += chunk.byteLength;
      yield chunk;
    }
  }
}

describe.concurrent('a function', () => {
  it('is called with the request and answers with what its handler gives', async () => {
    await functions.deploy(
      'hello',
      `export default async (event, context) => ({
         status: 201,
         headers: { 'X-Path': event.path, 'set-cookie': ['a=1', 'b=2'], 'content-length': '7' },
         body: [event.method, event.query.get('q'), event.headers['x-more'], await event.text(), context.callId].join(),
       });`,
    );
    const answer = await functions.call('hello', {
      id: 'first',
      method: 'PUT',
      path: '/below/here',
      query: 'q=%C3%A9',
      headers: { 'x-more': ['1', '2'] },
      body: Buffer.from('body'),
    });
    expect(answer).toMatchObject({ status: 201, isColdStart: true });
    expect(answer.headers).toEqual({
      'x-path': '/below/here',
      'set-cookie': ['a=1', 'b=2'],
      'content-type': 'text/plain; charset=utf-8',
    });
    expect(await textOf(answer)).toBe('PUT,é,1,2,body,first');
    expect((await functions.call('hello')).isColdStart).toBe(false);
  });

  it('answers with text, bytes, JSON, a Response or a stream, and may be CommonJS', async () => {
    await functions.deploy('kinds', '', {
      manifest: { handler: 'kinds.cjs' },
      files: {
        'kinds.cjs': `
          const kinds = {
            text: () => 'text',
            bytes: () => new Uint8Array([1, 2]),
            json: async (event) => ({ got: await event.json() }),
            state: () => ({ status: 'fine' }),
            response: () => new Response('made', { status: 418, headers: { 'x-a': 'b' } }),
            stream: async function* () { yield 'one '; yield Buffer.from('two'); },
            nothing: () => undefined,
          };
          module.exports = async (event, context) => kinds[event.path.slice(1)](event, context);`,
      },
    });
    const answers: Record<string, unknown> = {};
    for (const kind of ['text', 'bytes', 'json', 'state', 'response', 'stream', 'nothing']) {
      const answer = await functions.call('kinds', { path: `/${kind}`, body: Buffer.from('[1]') });
      const type = answer.headers['content-type'];
      answers[kind] = [answer.status, type, (await bytesOf(answer)).toString('latin1')];
    }
    expect(answers).toEqual({
      text: [200, 'text/plain; charset=utf-8', 'text'],
      bytes: [200, 'application/octet-stream', '\x01\x02'],
      json: [200, 'application/json', '{"got":[1]}'],
      state: [200, 'application/json', '{"status":"fine"}'],
      response: [418, 'text/plain;charset=UTF-8', 'made'],
      stream: [200, 'application/octet-stream', 'one two'],
      nothing: [200, undefined, ''],
    });
  });

  it('has its own environment, secrets and folder for what it keeps, and nothing of the front end', async () => {
    await functions.deploy(
      'inside',
      `export default (event, context) => ({
         environment: process.env, folder: process.cwd(), key: context.secrets.get('key').toString() });`,
      {
        manifest: { environment: { A: 'manifest', B: 'manifest' } },
        deployment: { environment: { B: 'deployment' } },
      },
    );
    const { environment, folder, key } = JSON.parse(await functions.text('inside')) as {
      environment: Record<string, string>;
      folder: string;
      key: string;
    };
    expect(key).toBe('a secret');
    expect(readdirSync(folder)).toContain('handler.mjs');
    const { HOME, TMPDIR, PATH, LANG, PWD, ...own } = environment;
    expect(own).toEqual({ A: 'manifest', B: 'deployment' });
    // Of the shell.
    expect(PWD).toBe(HOME);
    expect({ PATH, LANG, TMPDIR }).toEqual({
      PATH: process.env['PATH'],
      LANG: 'C.UTF-8',
      TMPDIR: HOME,
    });
    expect([folder, readdirSync(HOME as string)]).toEqual([join(HOME as string, 'work'), ['work']]);
  });

  it('may write in its working folder, which no other instance sees', async () => {
    await functions.deploy(
      'writes',
      `import { readdir, readFile, writeFile } from 'node:fs/promises';
       export default async () => {
         await writeFile('mine', String(process.pid), { flag: 'wx' });
         await writeFile(process.env.PIDS + '/writes-' + process.pid, '');
         const both = async () => (await readdir(process.env.PIDS)).filter((name) => name.startsWith('writes-'));
         while ((await both()).length < 2) await new Promise(setImmediate);
         return [await readFile('mine', 'utf8'), await readFile('lib/data.txt', 'utf8'), process.pid].join();
       };`,
      {
        files: { 'lib/data.txt': 'of the bundle' },
        manifest: { concurrency: 1, environment: { PIDS: pids } },
        scaling: { min: 2, max: 2, target: 1, toZero: false },
      },
    );
    const answers = await Promise.all([functions.text('writes'), functions.text('writes')]);
    const pidsOf = answers.map((answer) => {
      const [own, data, pid] = answer.split(',');
      expect([own, data]).toEqual([pid, 'of the bundle']);
      return pid;
    });
    expect(new Set(pidsOf).size).toBe(2);
    expect(readdirSync(functions.bundleOf('writes').folder)).not.toContain('mine');
    await functions.deploy('program-writes', '', {
      manifest: { command: ['sh', '-c', 'cat lib/data.txt > own && cat own'] },
      files: { 'lib/data.txt': 'of the bundle' },
    });
    expect(await functions.text('program-writes')).toBe('of the bundle');
  });

  it('streams 256 MiB both ways while it holds little of it, and its caller too', async () => {
    const memoryMiB = 96;
    await functions.deploy(
      'echo',
      'export default (event) => ({ status: 200, body: event.body })',
      {
        manifest: { memoryMiB },
      },
    );
    const total = 256 * mebibyte;
    let sent = 0;
    // eslint-disable-next-line @typescript-eslint/require-await -- bodies come so
    async function* source(): AsyncGenerator<Uint8Array> {
      for (; sent < total; sent += mebibyte) yield Buffer.alloc(mebibyte, sent / mebibyte);
    }
    const answer = await functions.call('echo', { body: source() });
    let came = 0;
    let aheadMost = 0;
    for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
      if (chunk[0] !== Math.floor(came / mebibyte) % 256) break;
      came += chunk.byteLength;
      aheadMost = Math.max(aheadMost, sent - came);
    }
    expect(came).toBe(total);
    // Windows of both ways, and what streams and sockets hold.
    expect(aheadMost).toBeLessThan(12 * mebibyte);
  });

  it('takes no more of a body than it reads', async () => {
    await functions.deploy('deaf', `export default () => 'done'`);
    const body = new Endless();
    expect(await functions.text('deaf', body)).toBe('done');
    expect(body.bytes).toBeLessThan(4 * mebibyte);
    expect(await functions.text('deaf', new Endless())).toBe('done');
  });

  it('answers a thousand calls at once, each its own', async () => {
    await functions.deploy('many', 'export default async (event) => event.text()', {
      manifest: { concurrency: 100 },
    });
    const numbers = Array.from({ length: 1000 }, (_, number) => `${number}`);
    expect(await Promise.all(numbers.map((each) => functions.text('many', each)))).toEqual(numbers);
  });
});

describe.concurrent('a handler that', () => {
  it('throws fails its call with the reason, and prints where', async () => {
    await functions.deploy('throws', `export default () => { throw new TypeError('of its own'); }`);
    await expect(functions.call('throws', { id: 'c7' })).rejects.toMatchObject({
      code: 'INTERNAL',
      message: 'the function threw: of its own',
    });
    await functions.line(/\[c7\] TypeError: of its own/);
  });

  it('throws an error of Axle fails its call with its code', async () => {
    await functions.deploy(
      'passes',
      `export default async (event, context) => context.axle.devices();`,
    );
    await expect(functions.call('passes')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: 'the front end of this function has no pool',
    });
  });

  it('exits takes its calls along with the reason', async () => {
    await functions.deploy(
      'exits',
      `export default async (event) => {
         if (event.path === '/exit') process.exit(3);
         return 'fine';
       }`,
      { manifest: { concurrency: 1 } },
    );
    const ends = functions.call('exits', { path: '/exit' });
    const waits = functions.text('exits');
    await expect(ends).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      retryable: true,
      message: 'the instance ended: exit code 3',
    });
    // No instance has answered yet: this is how one that cannot run looks. It waits until the next is tried.
    expect(await waits).toBe('fine');
  });

  it('exited several times in a row keeps who calls waiting for the next instance', async () => {
    await functions.deploy(
      'exits-often',
      `export default async (event) => {
         if (event.path === '/exit') process.exit(3);
         return 'fine';
       }`,
    );
    for (let times = 0; times < 3; times++)
      await expect(functions.call('exits-often', { path: '/exit' })).rejects.toMatchObject({
        message: 'the instance ended: exit code 3',
      });
    const five = Array.from({ length: 5 }, () => functions.text('exits-often'));
    expect(await Promise.all(five)).toEqual(Array.from({ length: 5 }, () => 'fine'));
  });

  it('exits while it is loaded fails who waited for it, and is not waited for longer', async () => {
    await functions.deploy('stillborn', `process.exit(4); export default () => 1;`);
    const ended = { code: 'UNAVAILABLE', retryable: true };
    const message = 'no instance of the function stillborn runs: the instance ended: exit code 4';
    for (let times = 0; times < 3; times++)
      await expect(functions.call('stillborn')).rejects.toMatchObject({ ...ended, message });
  });

  it('leaks is ended at its limit, in its heap and outside of it', async () => {
    const leak = `
      const kept = [];
      export default async (event) => {
        const take = event.path === '/heap'
          ? () => kept.push(new Array(100_000).fill(kept.length + 0.5))
          : () => kept.push(Buffer.alloc(4 << 20, 1));
        for (;;) { take(); await new Promise(setImmediate); }
      };`;
    for (const kind of ['buffers', 'heap']) {
      await functions.deploy(`leaks-${kind}`, leak, { manifest: { memoryMiB: 96 } });
      await expect(functions.call(`leaks-${kind}`, { path: `/${kind}` })).rejects.toMatchObject({
        code: 'RESOURCE_EXHAUSTED',
        retryable: false,
        message: expect.stringMatching(/its limit is 96 MiB \(memoryMiB\)$/) as string,
      });
    }
  });

  it('prints more than anyone reads harms nobody, and cut lines are all that is kept', async () => {
    await functions.deploy(
      'prints',
      `const text = 'x'.repeat(1 << 20);
       export default () => {
         for (let i = 0; i < 256; i++) process.stdout.write(text);
         console.log();
         console.log('the last line');
         return 'printed';
       }`,
    );
    await functions.deploy('beside', 'export default (event) => event.text()');
    const [printed, other] = await Promise.all([
      functions.text('prints'),
      functions.text('beside', 'a'),
    ]);
    expect([printed, other]).toEqual(['printed', 'a']);
    const lines = functions.lines.filter(({ instance }) => instance.startsWith('prints.'));
    const kept = lines.reduce((sum, { text }) => sum + text.length, 0);
    expect(kept).toBeLessThan(mebibyte);
  });

  it('cannot be loaded is told to whoever calls, and not tried again and again', async () => {
    await functions.deploy('broken', `import 'not-there'; export default () => 1;`);
    const wanted = {
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(
        /^no instance of the function broken runs: the handler handler.mjs cannot be loaded: Cannot find package 'not-there'/,
      ) as string,
    };
    await expect(functions.call('broken')).rejects.toMatchObject(wanted);
    await expect(functions.call('broken')).rejects.toMatchObject(wanted);
    const tried = functions.lines.filter(({ instance }) => instance.startsWith('broken.'));
    expect(new Set(tried.map(({ instance }) => instance)).size).toBeLessThanOrEqual(2);
    await functions.deploy('broken', `export default 7;`);
    await expect(functions.call('broken')).rejects.toThrow(/has no function as its default export/);
    await functions.deploy('broken', `export default () => 'mended'`);
    expect(await functions.text('broken')).toBe('mended');
  });

  it('answers with what HTTP has not fails its call', async () => {
    await functions.deploy(
      'odd',
      'export default async (event) => ({ status: 200, ...(await event.json()) })',
    );
    const odd = (head: object): Promise<string> => functions.text('odd', JSON.stringify(head));
    await expect(odd({ status: 99 })).rejects.toThrow(/answered with the status 99; it is a whole/);
    await expect(odd({ status: 'abc', body: '' })).rejects.toThrow(
      /gave the status "abc"; it is to be a whole number/,
    );
    for (const headers of [[['a', 'b']], 'a: b', null])
      await expect(odd({ headers })).rejects.toThrow(/gave headers that are no object of texts/);
    for (const a of [{}, true, [1]])
      await expect(odd({ headers: { a } })).rejects.toThrow(/gave the header a as a/);
    expect(await odd({ headers: { a: 1, b: ['c', 'd'] }, body: 'sound' })).toBe('sound');
    await expect(odd({ headers: { 'a b': 'c' } })).rejects.toThrow(/whose name is none: "a b"/);
    await expect(odd({ headers: { a: 'b\r\nc: d' } })).rejects.toThrow(/a value of the header a/);
    expect(await odd({ body: 'sound' })).toBe('sound');
  });
});

/** Time enough for a call on a machine that has much to do. */
const timeoutMs = 1500;

describe.concurrent('a handler whose time is over, as it', () => {
  it('loops for ever is ended after its time; whoever else it had may call again', async () => {
    await functions.deploy(
      'loops',
      `export default async (event) => {
         if (event.path === '/loop') { console.log('looping'); for (;;); }
         if (event.path === '/wait') { console.log('waiting'); await new Promise(() => undefined); }
         return String(process.pid);
       }`,
      { manifest: { timeoutMs } },
    );
    const pid = Number(await functions.text('loops'));
    const loops = functions.call('loops', { path: '/loop' });
    const late = expect(loops).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: 'the function did not answer within 1500 ms, its timeoutMs',
    });
    await functions.line(/looping/);
    const beside = functions.call('loops', { path: '/wait' }).catch((error: unknown) => error);
    await late;
    // Who calls now gets an instance that can answer, and does not go down with the one that is stuck.
    const others = await Promise.all([functions.text('loops'), functions.text('loops')]);
    expect(others.map(Number)).not.toContain(pid);
    expect(isRunning(pid)).toBe(false);
    expect(await beside).toMatchObject({
      code: expect.stringMatching(/^(UNAVAILABLE|DEADLINE_EXCEEDED)$/) as string,
    });
  });

  it('answers after its time is too late, and its instance goes on where it heeds the signal', async () => {
    await functions.deploy(
      'late',
      `export default (event, { signal }) => new Promise((resolve) => {
         if (event.path === '/') resolve(String(process.pid));
         else signal.addEventListener('abort', () => resolve('late'));
       });`,
      { manifest: { timeoutMs } },
    );
    const pid = await functions.text('late');
    const late = functions.call('late', { path: '/late' });
    await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(await functions.text('late')).toBe(pid);
  });

  it('runs on though it was cancelled costs its instance, once the others have answered', async () => {
    await functions.deploy(
      'stubborn',
      `export default (event) => new Promise((resolve) => {
         if (event.path === '/') resolve(String(process.pid));
       });`,
      { manifest: { timeoutMs } },
    );
    const pid = Number(await functions.text('stubborn'));
    const late = functions.call('stubborn', { path: '/never' });
    await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await functions.line(/^\(retired: a handler runs on after its 1500 ms; it should heed context/);
    expect(Number(await functions.text('stubborn'))).not.toBe(pid);
  });
});

describe.concurrent('a caller that leaves', () => {
  it('ends its call, whether it waits or runs or its answer is on the way', async () => {
    await functions.deploy(
      'leave',
      `export default async function (event, { signal }) {
         if (event.path === '/') return 'free';
         if (event.path === '/stream') return (async function* () { try { for (;;) yield 'x'.repeat(65536); } finally { console.log('stream let go'); } })();
         console.log('has begun');
         await new Promise((resolve) => signal.addEventListener('abort', resolve));
         console.log('has heard');
       }`,
      { manifest: { concurrency: 1 } },
    );
    const runner = new AbortController();
    const runs = functions.call('leave', { path: '/run', signal: runner.signal });
    await functions.line(/has begun/);
    const waiter = new AbortController();
    const waits = functions.call('leave', { signal: waiter.signal });
    waiter.abort(new Error('waits no more'));
    await expect(waits).rejects.toThrow('waits no more');
    runner.abort(new Error('has left'));
    await expect(runs).rejects.toThrow('has left');
    await functions.line(/has heard/);
    const stream = await functions.call('leave', { path: '/stream' });
    (stream.body as NodeJS.ReadableStream & { destroy(): void }).destroy();
    await functions.line(/stream let go/);
    expect(await functions.text('leave')).toBe('free');
  });
});

describe.concurrent('a new generation', () => {
  it('takes over once it is ready, and no call is lost meanwhile', async () => {
    await functions.deploy('changes', `export default () => 'old'`);
    expect(await functions.text('changes')).toBe('old');
    await functions.deploy('changes', `export default () => 'new'`);
    const answers = new Set<string>();
    while (!answers.has('new')) answers.add(await functions.text('changes'));
    expect(await functions.text('changes')).toBe('new');
    expect(functions.calls.report('changes')).toMatchObject({ ready: 1 });
  });
});

describe('a process that a handler starts, as', () => {
  it.each([
    ['an orphan', `spawn('sh', ['-c', 'node takes.mjs >&- 2>&- &'])`],
    ['one that left its session', `spawn('node', ['takes.mjs'], { detached: true })`],
    ['the child of a thread', `new Worker(new URL('thread.mjs', import.meta.url))`],
  ])('%s is one of its instance, and takes it along where it leaks', async (kind, start) => {
    const name = kind.replaceAll(' ', '-');
    await functions.deploy(
      name,
      `import { spawn } from 'node:child_process';
       import { Worker } from 'node:worker_threads';
       export default async () => { ${start}; await new Promise(() => {}); };`,
      {
        manifest: { memoryMiB: 160 },
        files: {
          'takes.mjs': `
            import { writeFileSync } from 'node:fs';
            writeFileSync(process.env.PIDS + '/${name}', String(process.pid));
            const kept = [];
            setInterval(() => kept.push(Buffer.alloc(8 << 20, 1)), 10);`,
          'thread.mjs': `import { spawn } from 'node:child_process'; spawn('node', ['takes.mjs']);`,
        },
        deployment: { environment: { PIDS: pids } },
      },
    );
    await expect(functions.call(name)).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: expect.stringMatching(/MiB of memory, and its limit is 160 MiB/) as string,
    });
    const pid = Number(readFileSync(join(pids, name), 'utf8'));
    await expect.poll(() => isRunning(pid), gone).toBe(false);
  });
});

describe.concurrent('a front end', () => {
  it('that is killed takes its instances along, whatever they are busy with', async () => {
    await functions.deploy('busy', `export default () => { console.log(process.pid); for (;;); }`);
    const program = `
      import { FunctionCalls, ProcessInstanceProvider } from '@axle/faas';
      const { bundle, deployment } = JSON.parse(process.argv[1]);
      const calls = new FunctionCalls({
        provider: new ProcessInstanceProvider(),
        prepare: async () => ({ bundle, secrets: new Map(), pool: undefined }),
        log: (_name, { text }) => console.log(text),
      });
      calls.deploy(deployment);
      const { signal } = new AbortController();
      await calls.invoke({ functionName: 'busy', headers: {}, body: new Uint8Array(0), signal });`;
    const given = {
      bundle: functions.bundleOf('busy'),
      deployment: functions.deployed('busy'),
    };
    const args = ['--input-type=module', '-e', program, JSON.stringify(given)];
    const child = spawn(process.execPath, args, {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    for await (const chunk of child.stdout) {
      printed += String(chunk);
      if (/\d+\n/.test(printed)) break;
    }
    const pid = parseInt(printed, 10);
    expect(isRunning(pid)).toBe(true);
    child.kill('SIGKILL');
    await expect.poll(() => isRunning(pid), gone).toBe(false);
  });
});

describe.concurrent('processes that wait', () => {
  it('take a function with its environment, and others wait in their place', async () => {
    await using prepared = await RunningFunctions.open({ waitingProcesses: 1 });
    const handler = `export default () => [process.env.A, import.meta.dirname].join()`;
    for (const name of ['first', 'second']) {
      await prepared.deploy(name, handler, { manifest: { environment: { A: name } } });
      expect(await prepared.text(name)).toBe(`${name},${prepared.bundleOf(name).folder}`);
    }
  });
});

describe.concurrent('threads', () => {
  it('run functions as processes do, end when they loop or leak, and have their own environment', async () => {
    const provider = new ThreadInstanceProvider({ graceMs });
    await using threads = await RunningFunctions.open({}, { provider });
    await threads.deploy(
      'thread',
      `export default async (event) => {
         if (event.path === '/loop') for (;;);
         if (event.path === '/leak') for (const kept = []; ; ) kept.push(new Array(100_000).fill(kept.length + 0.5));
         if (event.path === '/exit') process.exit(3);
         return [Object.keys(process.env).sort(), await event.text()].join();
       }`,
      // Time enough to leak it all, too.
      { manifest: { timeoutMs: 4000, memoryMiB: 64, environment: { A: 'a' } } },
    );
    const fine = 'A,HOME,LANG,PATH,TMPDIR,body';
    expect(await threads.text('thread', 'body')).toBe(fine);
    for (const [path, reason] of [
      ['/exit', { code: 'UNAVAILABLE', message: 'the instance ended: exit code 3' }],
      ['/leak', { code: 'RESOURCE_EXHAUSTED', retryable: false }],
      ['/loop', { code: 'DEADLINE_EXCEEDED' }],
    ] as const) {
      await expect(threads.call('thread', { path })).rejects.toMatchObject(reason);
      if (path === '/loop') await threads.line(/^\(ended: a handler ran on for more than 4000 ms/);
      expect(await threads.text('thread', 'body')).toBe(fine);
    }
  });
});
