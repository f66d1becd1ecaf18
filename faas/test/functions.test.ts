import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { RunningFunctions, textOf } from './running-functions.js';

let functions: RunningFunctions;
beforeAll(async () => {
  functions = await RunningFunctions.open({ graceMs: 200 });
});
afterAll(() => functions[Symbol.asyncDispose]());

describe('a function', () => {
  it('is called with the request and answers with what its handler gives', async () => {
    await functions.deploy(
      'hello',
      `export default async (event, context) => ({
         status: 201,
         headers: { 'X-Path': event.path, 'set-cookie': ['a=1', 'b=2'] },
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
    expect(answer).toMatchObject({
      status: 201,
      isColdStart: true,
      headers: {
        'x-path': '/below/here',
        'set-cookie': ['a=1', 'b=2'],
        'content-type': 'text/plain; charset=utf-8',
      },
    });
    expect(await textOf(answer)).toBe('PUT,é,1,2,body,first');
    expect((await functions.call('hello')).isColdStart).toBe(false);
  });
});
