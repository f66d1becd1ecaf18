import { describe, expect, it } from 'vitest';

import { jsonLine, textLine } from '../src/log/log-line.js';
import type { LogFields } from '../src/log/log.js';
import { RequestLog, type LoggedRequests, type RequestEnd } from '../src/log/request-log.js';

class Written {
  readonly lines: [string, LogFields | undefined][] = [];
  now = 0;
  readonly log: RequestLog;

  constructor(which: LoggedRequests) {
    const write = (message: string, fields?: LogFields) => void this.lines.push([message, fields]);
    this.log = new RequestLog(write, which, () => this.now);
  }

  end(code: RequestEnd['code'], changes: Partial<RequestEnd> = {}): void {
    this.log.ended(code, () => ({ requestId: 'r', op: 'Infer', code, ...changes }));
  }

  get messages(): string[] {
    return this.lines.map(([message]) => message);
  }
}

describe('the log of requests', () => {
  it('tells of those that fail, only so many in a while, and how many it left out', () => {
    const written = new Written('failures');
    for (let i = 0; i < 100; i++) {
      written.end('NOT_FOUND', { model: 'm', reason: 'gone' });
      written.end('OK');
      written.end('CANCELLED');
    }
    expect(written.messages).toEqual(
      Array.from({ length: 20 }, () => "Infer of model 'm' failed with NOT_FOUND: gone"),
    );
    written.now = 10_000;
    written.end('INTERNAL');
    expect(written.messages.slice(20)).toEqual([
      '80 more lines like these were left out',
      'Infer failed with INTERNAL',
    ]);
    expect(written.lines.at(-1)?.[1]).toMatchObject({ level: 'error', requestId: 'r' });
  });

  it('tells of each where the operator wants it', () => {
    const written = new Written('all');
    for (let i = 0; i < 30; i++) written.end('OK', { ms: 1.23456, bytesIn: 5 });
    expect(written.messages).toEqual(
      Array.from({ length: 30 }, () => 'Infer - OK 1.235 ms, 5 bytes in, 0 out'),
    );
  });

  it('leaves out what quotes inputs', () => {
    const written = new Written('failures');
    written.end('INVALID_ARGUMENT', { reason: 'element 1 is 128' });
    expect(JSON.stringify(written.lines)).not.toContain('128');
  });
});

it('lines are one line each, whatever is in them', () => {
  const line = jsonLine(new Date(0), 'a\nb', { tenant: '"', level: 'warn', code: undefined });
  expect(line).not.toContain('\n');
  expect(JSON.parse(line)).toEqual({
    ...{ time: '1970-01-01T00:00:00.000Z', level: 'warn', message: 'a\nb', tenant: '"' },
  });
  expect(textLine('a', { tenant: 'alice' })).toBe('a');
  expect(textLine('a', { tenant: 'alice', requestId: '7' })).toBe('a (request 7 of alice)');
});
