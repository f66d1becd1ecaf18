import { Socket } from 'node:net';

import { Tensor } from '@axle/core';
import { limitsWith, Runtime } from '@axle/core/internal';
import protobuf from 'protobufjs/minimal.js';
import { describe, expect, it } from 'vitest';

import {
  bytesElementsMax,
  defaultDoorLimits,
  dimensionsMax,
  jsonListsMax,
  jsonTextsMax,
  jsonValuesMax,
  parametersMax,
  tensorsMax,
  textCharactersMax,
  typedElementsMax,
  typedPiecesMax,
} from '../src/doors/door-limits.js';
import { readInferRequest } from '../src/doors/grpc/infer-message.js';
import { writeAnswer } from '../src/doors/http/infer-answer.js';
import { readInferBody } from '../src/doors/http/infer-body.js';
import { DoorClients, DoorConnection, sessionsMax } from '../src/doors/door-clients.js';
import { DoorRequests } from '../src/doors/door-request.js';
import { RequestLog } from '../src/log/request-log.js';
import { Newcomers } from '../src/server/newcomers.js';
import { Authenticator } from '../src/trust/authenticator.js';
import { defaultQuotas, defaultServerLimits } from '../src/trust/quotas.js';
import { tensorOf } from '../src/doors/kserve/data-types.js';
import { noParameters, type InferAnswer } from '../src/doors/kserve/infer-request.js';

const tooMuch = expect.objectContaining({ code: 'RESOURCE_EXHAUSTED', retryable: false }) as Error;

/** At most so many are taken, and one more is not. */
function expectEdge(max: number, read: (count: number) => unknown): void {
  expect(() => read(max)).not.toThrow();
  expect(() => read(max + 1)).toThrow(tooMuch);
}

function restOf(json: string) {
  const model = { model: 'm', version: '' };
  return readInferBody(Buffer.from(json), undefined, model, defaultDoorLimits).request;
}

const listOf = (count: number, each: string) => `[${Array<string>(count).fill(each).join(',')}]`;
const input = (fields: string) => `{"name":"x","datatype":"INT64","shape":[1]${fields}}`;
const withInput = (fields: string) => restOf(`{"inputs":[${input(fields)}]}`);
const namesOf = (count: number) =>
  `{${Array.from({ length: count }, (_, i) => `"p${i}":1`).join(',')}}`;

describe('a request of REST has bounded', () => {
  it('inputs and outputs', () => {
    expectEdge(tensorsMax, (count) => restOf(`{"inputs":${listOf(count, input(''))}}`));
    expectEdge(tensorsMax, (count) =>
      restOf(`{"inputs":[],"outputs":${listOf(count, '{"name":"y"}')}}`),
    );
  });

  it('parameters, of its own and of inputs', () => {
    expectEdge(parametersMax, (count) => restOf(`{"inputs":[],"parameters":${namesOf(count)}}`));
    expectEdge(parametersMax, (count) => withInput(`,"parameters":${namesOf(count)}`));
  });

  it('texts', () => {
    expectEdge(textCharactersMax, (count) => restOf(`{"inputs":[],"id":"${'i'.repeat(count)}"}`));
    expectEdge(textCharactersMax, (count) =>
      restOf(`{"inputs":[],"parameters":{"p":"${'p'.repeat(count)}"}}`),
    );
  });

  it('parts of JSON', () => {
    const other = (json: string) => restOf(`{"inputs":[],"other":${json}}`);
    // Besides the texts, lists, objects and commas around it.
    expectEdge(jsonListsMax, (count) => other(listOf(count - 3, '[]')));
    expectEdge(jsonListsMax, (count) => other(listOf(count - 3, '{}')));
    expectEdge(jsonTextsMax, (count) => other(listOf(count - 2, '"\\"[,"')));
    expectEdge(jsonValuesMax, (count) => other(listOf(count - 1, '1')));
  });
});

it('an answer has bounded elements in JSON', () => {
  expectEdge(jsonValuesMax, (count) => {
    const tensor = Tensor.fromBytes('UINT8', new Uint8Array(count), [count]);
    const output = { name: 'y', tensor, asked: noParameters };
    const answer = { modelName: 'm', modelVersion: '1', id: '', parameters: noParameters };
    const whole = { ...answer, outputs: [output] } as unknown as InferAnswer;
    return writeAnswer(whole, false, defaultDoorLimits.jsonBytesMax);
  });
});

type Write = (writer: protobuf.Writer) => void;

const message = (write: Write) => {
  const writer = protobuf.Writer.create();
  write(writer);
  return writer.finish();
};
const grpcOf = (write: Write) => readInferRequest(message(write));
const field = (writer: protobuf.Writer, number: number, write: Write) =>
  writer.uint32((number << 3) | 2).bytes(message(write));
const text = (writer: protobuf.Writer, number: number, value: string) =>
  writer.uint32((number << 3) | 2).string(value);

function times(count: number, write: (index: number) => void): void {
  for (let i = 0; i < count; i++) write(i);
}

/** Each of so many inputs with the same contents. */
const contents = (datatype: string, inputs: number, write: Write) =>
  grpcOf((request) => {
    times(inputs, () =>
      field(request, 5, (each) => {
        text(each, 2, datatype);
        field(each, 5, write);
      }),
    );
  });

describe('a request of gRPC has bounded', () => {
  it.each([
    ['inputs', 5],
    ['outputs', 6],
    ['raw contents', 7],
  ])('%s', (_, number) => {
    expectEdge(tensorsMax, (count) =>
      grpcOf((request) => {
        // Raw contents are one for each input.
        if (number === 7) times(Math.min(count, tensorsMax), () => text(request, 5, ''));
        times(count, () => text(request, number, ''));
      }),
    );
  });

  it('parameters, texts and dimensions', () => {
    expectEdge(parametersMax, (count) =>
      grpcOf((request) => {
        times(count, (i) =>
          field(request, 4, (entry) => {
            text(entry, 1, `p${i}`);
            field(entry, 2, (value) => value.uint32(1 << 3).bool(true));
          }),
        );
      }),
    );
    expectEdge(textCharactersMax, (count) =>
      grpcOf((request) => text(request, 3, 'i'.repeat(count))),
    );
    expectEdge(dimensionsMax, (count) =>
      grpcOf((request) => {
        field(request, 5, (each) => each.uint32((3 << 3) | 2).bytes(new Uint8Array(count).fill(1)));
      }),
    );
  });

  it('typed elements, of all inputs together', () => {
    const packed = (bytes: Uint8Array) => (each: protobuf.Writer) =>
      each.uint32((2 << 3) | 2).bytes(bytes);
    expectEdge(typedElementsMax, (count) => contents('INT32', 1, packed(new Uint8Array(count))));
    const half = new Uint8Array(typedElementsMax / 2);
    expect(() => contents('INT32', 2, packed(half))).not.toThrow();
    expect(() => contents('INT32', 3, packed(half))).toThrow(tooMuch);
    expectEdge(typedPiecesMax, (count) =>
      contents('BYTES', 1, (each) => {
        times(count, () => text(each, 8, 'a'));
      }),
    );
  });
});

it('a tensor has bounded dimensions, and elements if they are BYTES', () => {
  expectEdge(dimensionsMax, (count) =>
    tensorOf('x', 'UINT8', Array<number>(count).fill(1), new Uint8Array(1)),
  );
  // Elements of nothing.
  expectEdge(bytesElementsMax, (count) =>
    tensorOf('x', 'BYTES', [count], new Uint8Array(4 * count)),
  );
});

describe('long whole numbers in JSON', () => {
  const dataOf = (datatype: string, data: string) => {
    const { inputs } = restOf(
      `{"inputs":[{"name":"x","datatype":"${datatype}","shape":[1],"data":[${data}]}]}`,
    );
    return Buffer.from(inputs[0]?.data ?? []);
  };

  it('are numbers, digit by digit', () => {
    expect(dataOf('INT64', '-9223372036854775808').readBigInt64LE()).toBe(-(2n ** 63n));
    expect(dataOf('UINT64', '18446744073709551615').readBigUint64LE()).toBe(2n ** 64n - 1n);
    expect(dataOf('FP64', '12345678901234567890').readDoubleLE()).toBe(
      Number('12345678901234567890'),
    );
    const { parameters } = restOf('{"inputs":[],"parameters":{"p":1234567890123456789}}');
    expect(parameters.get('p')).toBe(1234567890123456789n);
  });

  it.each([
    ['INT64', '"12"', /input 'x' is INT64, and its element 0 is the text "12", which does not fit/],
    ['INT64', '"1234567890123456789"', /element 0 is the text "1234567890123456789"/],
    ['INT64', '9223372036854775808', /element 0 is 9223372036854775808, which does not fit/],
    ['UINT64', '-1234567890123456789', /element 0 is -1234567890123456789, which/],
    ['FP32', '"1234567890123456789"', /element 0 is the text/],
    ['FP32', '1e39', /input 'x' is FP32, and its element 0 is 1e\+39, which does not fit/],
    ['FP32', '-3.5e38', /element 0 is -3\.5e\+38, which does not fit/],
    ['FP64', '1e400', /element 0 is Infinity, which does not fit/],
    ['INT8', 'null', /element 0 is null, which does not fit/],
    ['BYTES', '1234567890123456789', /element 0 is 1234567890123456789, and no text/],
    ['BYTES', String.raw`"\ud800"`, /element 0 has half a surrogate pair/],
  ])('of %s are no text, and text is none of them: %s', (datatype, data, message) => {
    expect(() => dataOf(datatype, data)).toThrow(message);
  });

  it('are no names', () => {
    expect(() => restOf('{"inputs":[],"id":1234567890123456789}')).toThrow(/no text/);
  });
});

describe('what is kept of those who come', () => {
  it('is so many connections, and the oldest goes for one more', () => {
    const newcomers = new Newcomers(2);
    const [one, two, three] = [new Socket(), new Socket(), new Socket()];
    newcomers.add(one);
    newcomers.add(two);
    expect(one.destroyed).toBe(false);
    newcomers.add(three);
    expect([one.destroyed, two.destroyed, three.destroyed]).toEqual([true, false, false]);
    expect(newcomers.size).toBe(2);
    newcomers.close();
  });

  it('is so many sessions, and the oldest goes for one more', async () => {
    const limits = limitsWith({});
    const runtime = await Runtime.start({ plugins: [], decodesImages: false, models: [], limits });
    const tenant = { weight: 1, disabled: false, quotas: defaultQuotas };
    const tenancy = {
      limits: { ...defaultServerLimits(), connections: Infinity },
      others: tenant,
      named: new Map(),
    };
    const authenticator = new Authenticator(
      { tenancy, tokens: undefined },
      () => 0,
      () => undefined,
    );
    const clients = new DoorClients(runtime, limits, authenticator);
    const requests = new DoorRequests(
      new RequestLog(
        () => undefined,
        'none',
        () => 0,
      ),
    );
    const ignore = () => undefined;
    const owner = { onAsked: ignore, onGreeted: ignore, onEntered: ignore, onLeft: ignore };
    const socket = new Socket().setMaxListeners(0);
    const sessionOf = (number: number) => {
      const where = { address: 'here', insecure: false, certificate: undefined };
      const peer = { ...where, listenerTenant: `t${number}` };
      const connection = new DoorConnection(peer, number, 'here', true, socket, owner);
      const request = requests.begin(connection, { id: undefined, traceparent: undefined });
      const nothing = { authorization: undefined, tenant: undefined };
      return clients.admit(nothing, connection, request).session;
    };
    const first = sessionOf(0);
    for (let i = 1; i < sessionsMax; i++) sessionOf(i);
    expect(sessionOf(0)).toBe(first);
    sessionOf(sessionsMax);
    expect(sessionOf(0)).not.toBe(first);
    clients.close();
    socket.destroy();
    await runtime.close();
  });
});
