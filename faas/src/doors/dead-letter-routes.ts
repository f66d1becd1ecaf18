import type { AsyncCalls } from '../async/async-calls.js';
import { sendJson } from './exchange.js';
import type { Route } from './routes.js';

/** Of one list. */
const shownMax = 1000;

/** Asynchronous calls that were given up: shown, tried again, or thrown away. */
export function deadLetterRoutes(asyncCalls: AsyncCalls): readonly Route[] {
  const one = /^\/axle\/v1\/dead-letters\/(\d{1,15})$/;
  return [
    {
      method: 'GET',
      path: /^\/axle\/v1\/dead-letters$/,
      async handle(exchange) {
        const letters = await asyncCalls.deadLetters(shownMax);
        sendJson(
          exchange,
          200,
          letters.map(
            ({
              number,
              call: { id, functionName, callbackUrl, acceptedAt, attempts, givenUp },
            }) => ({
              ...{ number, id, functionName, callbackUrl, acceptedAt, attempts },
              ...givenUp,
            }),
          ),
        );
      },
    },
    {
      method: 'POST',
      path: /^\/axle\/v1\/dead-letters\/(\d{1,15})\/redrive$/,
      async handle(exchange, [, number]) {
        await asyncCalls.redrive(Number(number));
        sendJson(exchange, 202, { number: Number(number) });
      },
    },
    {
      method: 'DELETE',
      path: one,
      async handle(exchange, [, number]) {
        await asyncCalls.discard(Number(number));
        sendJson(exchange, 200, { number: Number(number) });
      },
    },
  ];
}
