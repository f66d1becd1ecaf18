import { AxleError } from 'axle';

import type { Exchange } from './exchange.js';

/** One route, found by method and whole path. */
export interface Route {
  readonly method: string;
  readonly path: RegExp;
  /** @param match of the path */
  handle(exchange: Exchange, match: RegExpExecArray): Promise<void> | void;
}

/** @throws AxleError NOT_FOUND; UNIMPLEMENTED for a method that a path has not. */
export function route(routes: readonly Route[], exchange: Exchange): Promise<void> | void {
  const methods: string[] = [];
  for (const each of routes) {
    const match = each.path.exec(exchange.path);
    if (match === null) continue;
    if (each.method === exchange.request.method) return each.handle(exchange, match);
    methods.push(each.method);
  }
  if (methods.length === 0) {
    throw AxleError.expected(
      'NOT_FOUND',
      `there is no ${exchange.path.slice(0, 200)} here; docs/faas.md has the routes`,
    );
  }
  exchange.response.setHeader('allow', methods.join(', '));
  throw AxleError.expected('UNIMPLEMENTED', `${exchange.path} takes ${methods.join(', ')}`);
}
