import type { ChildProcess } from 'node:child_process';
import { Readable, type Duplex, type Writable } from 'node:stream';

import { AxleError } from 'axle';

import type { FunctionCall } from '../calls/function-call.js';
import { ofFunction, withDetails } from '../calls/function-failure.js';
import { exitOf, overMemory, unavailable } from './instance-end.js';
import type { CallOutcome, RunningCall } from './instance.js';
import { PrintedLines } from './printed-lines.js';
import { killGroup, spawnGroup } from './process-group.js';
import type { ProcessTable, ProcessUsage } from './process-table.js';

/** What of a function is the same for all its runs. */
export interface CommandSpec {
  readonly command: readonly string[];
  /** To work in. */
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Of one run, with all processes that it starts. */
  readonly memoryMiB: number;
  readonly table: ProcessTable;
}

/** Output that is kept until it is known how the program ends: a failure of one that gives less is an error, not half an answer. */
const keptBytesMax = 64 * 1024;
/** Of a program that ended: what comes this long after the last, milliseconds, is not its own, nor what comes after so many. */
const drainMs = 50;
const drainRounds = 40;
/** Of one variable of the environment: more than that, and no program could be started. */
const variableCharactersMax = 32 * 1024;
const headers = { 'content-type': 'application/octet-stream' };

/** One run of a program for one call: the body goes in, what comes out is the answer. */
export class CommandRun implements RunningCall {
  private readonly child: ChildProcess;
  private readonly timer: NodeJS.Timeout;
  private kept: Buffer[] = [];
  private keptBytes = 0;
  private answer: Readable | undefined;
  private verdict: unknown;
  private isSettled = false;
  private isOver = false;

  constructor(
    private readonly spec: CommandSpec,
    call: FunctionCall,
    private readonly outcome: CallOutcome,
    log: (text: string) => void,
    private readonly onOver: () => void,
  ) {
    const { command, folder, environment, timeoutMs } = spec;
    const [program = '', ...args] = command;
    this.child = spawnGroup(program, args, {
      folder,
      environment: { ...environment, ...variablesOf(call) },
      kind: 'filter',
    });
    if (this.child.pid !== undefined) spec.table.add(this.child.pid);
    this.timer = setTimeout(() => {
      const message = `the function did not answer within ${timeoutMs} ms, its timeoutMs`;
      const reason = AxleError.expected('DEADLINE_EXCEEDED', message);
      this.cancel(withDetails(reason, { kind: 'timedOut' }));
    }, timeoutMs);
    this.listen(log);
    const input = this.child.stdin as Writable;
    // It need not read all of it, or any.
    input.on('error', () => undefined);
    const { body } = call;
    if (body instanceof Uint8Array) input.end(body);
    else void this.send(body[Symbol.asyncIterator](), input);
  }

  get usage(): ProcessUsage {
    return this.spec.table.usageOf(this.child.pid);
  }

  checkMemory(): void {
    const usedMiB = Math.ceil(this.usage.memoryBytes / 1024 ** 2);
    const { memoryMiB } = this.spec;
    if (usedMiB > memoryMiB) this.cancel(overMemory(`used ${usedMiB} MiB of memory`, memoryMiB));
  }

  cancel(reason: unknown): void {
    if (this.isOver) return;
    this.fail(reason);
    if (this.child.pid !== undefined) killGroup(this.child.pid);
  }

  private listen(log: (text: string) => void): void {
    const { child } = this;
    const [, output, errors, , life] = child.stdio as [Duplex, Readable, Readable, null, Duplex];
    const printed = new PrintedLines(log);
    errors.on('data', (chunk: Buffer) => {
      printed.push(chunk);
    });
    output.on('data', (chunk: Buffer) => {
      this.take(chunk, output);
    });
    for (const stream of [output, errors, life]) stream.on('error', () => undefined);
    child.once('error', (error) => {
      this.fail(unavailable(`its program cannot be started: ${error.message}`));
      this.end(printed);
    });
    child.once('exit', () => {
      // What it started and left behind would hold its output open.
      if (child.pid !== undefined) killGroup(child.pid);
      this.drain(output, errors);
    });
    child.once('close', () => {
      this.end(printed);
    });
  }

  /**
   * What it printed may still be on its way, and who left its group may hold its output open for as long as it likes: the
   * call is over once nothing more comes.
   */
  private drain(output: Readable, errors: Readable): void {
    let left = drainRounds;
    let quiet = true;
    const came = (): void => {
      quiet = false;
    };
    output.on('data', came);
    const rounds = setInterval(() => {
      // Whoever reads the answer is slow: all of what is there is for them.
      if (output.isPaused() && !this.isOver) return;
      left -= 1;
      if (!quiet && left > 0 && !this.isOver) {
        quiet = true;
        return;
      }
      clearInterval(rounds);
      output.off('data', came);
      output.destroy();
      errors.destroy();
    }, drainMs);
  }

  private async send(source: AsyncIterator<Uint8Array>, input: Writable): Promise<void> {
    try {
      for (;;) {
        const { value, done } = (await source.next()) as IteratorResult<Uint8Array, undefined>;
        if (done === true) break;
        if (input.destroyed) return;
        if (!input.write(value)) await drained(input);
      }
      input.end();
    } catch (error) {
      this.cancel(error);
    }
  }

  private take(chunk: Buffer, output: Readable): void {
    if (this.answer !== undefined) {
      if (!this.answer.push(chunk)) output.pause();
      return;
    }
    if (this.isSettled) return;
    this.kept.push(chunk);
    this.keptBytes += chunk.byteLength;
    if (this.keptBytes <= keptBytesMax) return;
    const answer = new Readable({
      read: () => {
        output.resume();
      },
      destroy: (error, done) => {
        this.cancel(new AxleError('CANCELLED', 'the answer was not read to its end'));
        done(error);
      },
    });
    this.answer = answer;
    this.isSettled = true;
    for (const each of this.kept) answer.push(each);
    this.kept = [];
    this.outcome.answered({ status: 200, headers, body: answer });
  }

  private fail(reason: unknown): void {
    this.verdict ??= reason;
    if (this.isSettled) {
      this.answer?.destroy(reason as Error);
      return;
    }
    this.isSettled = true;
    this.outcome.failed(reason);
  }

  private end(printed: PrintedLines): void {
    if (this.isOver) return;
    const { child, answer } = this;
    clearTimeout(this.timer);
    this.spec.table.remove(child.pid);
    (child.stdio[4] as Duplex).destroy();
    printed.end();
    if (child.exitCode !== 0) this.fail(ofFunction(failedExit(child), 'threw'));
    this.isOver = true;
    if (answer !== undefined) answer.push(null);
    else if (!this.isSettled) {
      this.isSettled = true;
      this.outcome.answered({ status: 200, headers, body: Buffer.concat(this.kept) });
    }
    this.onOver();
    this.outcome.freed();
  }
}

/** What shells, and the one that starts it, say of programs that they cannot run. */
const exitAdvice: Readonly<Record<number, string>> = {
  126: 'it may not be executed; chmod +x its file, see that its first line names an interpreter, and push again',
  127: 'there is no such program; name a file of the function, such as ./run.sh, or one that is installed here',
};

function failedExit(child: ChildProcess): AxleError {
  const advice = exitAdvice[child.exitCode ?? 0];
  const message = `the program ended: ${exitOf(child)}`;
  const text = advice === undefined ? message : `${message}: ${advice}`;
  return withDetails(new AxleError('INTERNAL', text), { kind: 'exited' });
}

/** As programs of the web have them since CGI, with the prefix that OpenFaaS gives them. */
function variablesOf({
  id,
  method,
  path,
  query,
  headers: given,
}: FunctionCall): Record<string, string> {
  const variables: Record<string, string> = {
    AXLE_CALL_ID: id,
    Http_Method: method,
    Http_Path: path,
    Http_Query: query,
  };
  for (const [name, value] of Object.entries(given)) {
    const words = name.split('-').map((word) => word.charAt(0).toUpperCase() + word.slice(1));
    variables[`Http_${words.join('_')}`] = [value].flat().join(', ');
  }
  const isFit = ([, value]: [string, string]): boolean =>
    value.length <= variableCharactersMax && !value.includes('\0');
  return Object.fromEntries(Object.entries(variables).filter(isFit));
}

function drained(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    stream.once('drain', resolve).once('close', resolve);
  });
}
