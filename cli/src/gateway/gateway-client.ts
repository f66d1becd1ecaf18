import { existsSync } from 'node:fs';

import type { ErrorCodeName } from '@axle/core';
import { Option, type Command } from 'commander';

import { FileError, UsageError } from '../failure.js';
import { defaultState, passwordFileIn, readPassword } from './password.js';

const gatewayUrlDefault = 'http://127.0.0.1:8080';
const user = 'admin';
const errorTextMax = 4096;

export interface GatewayOptions {
  readonly gateway: string;
  readonly passwordFile?: string;
}

export function addGatewayOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--gateway <url>', 'the front end').env('AXLE_GATEWAY').default(gatewayUrlDefault),
    )
    .addOption(
      new Option(
        '--password-file <file>',
        'the password of its admin; also AXLE_GATEWAY_PASSWORD (default: that of axle faas here)',
      ).env('AXLE_GATEWAY_PASSWORD_FILE'),
    );
}

interface Sent {
  readonly body?: NonNullable<RequestInit['body']>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** A front end, as its clients see it. */
export class GatewayClient {
  private constructor(
    readonly url: string,
    private readonly authorization: string | undefined,
  ) {}

  /** @throws UsageError for a URL that is none, or two passwords; FileError for a password that cannot be read. */
  static async open({ gateway, passwordFile }: GatewayOptions): Promise<GatewayClient> {
    const url = URL.canParse(gateway) ? new URL(gateway) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol)) {
      throw new UsageError(`--gateway takes a URL such as ${gatewayUrlDefault}; not '${gateway}'`);
    }
    const password = await passwordFor(passwordFile, url);
    const authorization =
      password === undefined
        ? undefined
        : `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    return new GatewayClient(url.href.replace(/\/$/, ''), authorization);
  }

  /** @throws FileError with the code and the message of the front end. */
  async send(
    method: string,
    path: string,
    { body, headers = {}, signal }: Sent,
  ): Promise<Response> {
    const response = await this.fetch(method, path, {
      signal,
      headers: {
        ...headers,
        ...(this.authorization === undefined ? {} : { authorization: this.authorization }),
      },
      ...(body === undefined ? {} : { body, duplex: 'half' as const }),
    });
    if (response.ok) return response;
    throw await this.failure(response);
  }

  /** As anyone, without the password. */
  async call(
    method: string,
    path: string,
    { body, headers = {}, signal }: Sent,
  ): Promise<Response> {
    return this.fetch(method, path, {
      signal,
      headers,
      ...(body === undefined ? {} : { body, duplex: 'half' as const }),
    });
  }

  async json<T>(method: string, path: string, signal: AbortSignal, value?: unknown): Promise<T> {
    const sent = value === undefined ? {} : { body: JSON.stringify(value) };
    return (await (await this.send(method, path, { ...sent, signal })).json()) as T;
  }

  private async fetch(method: string, path: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(`${this.url}${path}`, { ...init, method });
    } catch (error) {
      if ((error as Error).name === 'AbortError') throw error;
      const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
      const reason = cause?.code ?? cause?.message ?? (error as Error).message;
      throw new FileError(
        'UNAVAILABLE',
        `${this.url}: ${reason}; start it with axle faas, or say where it is with --gateway`,
        {
          cause: error,
        },
      );
    }
  }

  async failure(response: Response): Promise<FileError> {
    const code = (response.headers.get('axle-code') ?? 'UNKNOWN') as ErrorCodeName;
    const text =
      (await response.text()).slice(0, errorTextMax).trim() || `status ${response.status}`;
    if (response.status !== 401) return new FileError(code, text);
    const advice =
      'give the password by --password-file or AXLE_GATEWAY_PASSWORD; axle faas says where it is';
    return new FileError('UNAUTHENTICATED', `${this.url}: ${text}; ${advice}`);
  }
}

/** That of the front end of this user is only shown to what listens on this machine. */
async function passwordFor(
  file: string | undefined,
  { hostname }: URL,
): Promise<string | undefined> {
  const { AXLE_GATEWAY_PASSWORD: password, AXLE_GATEWAY_PASSWORD_FILE: fileOfAll } = process.env;
  // The option of a command goes before both; of two in the environment nobody knows which is meant.
  if (password !== undefined && password !== '' && fileOfAll && file === fileOfAll) {
    throw new UsageError(
      'AXLE_GATEWAY_PASSWORD and AXLE_GATEWAY_PASSWORD_FILE are both set; unset one of them',
    );
  }
  if (file !== undefined && file !== '') return readPassword(file);
  if (password !== undefined && password !== '') return password;
  const own = passwordFileIn(defaultState());
  const isHere = /^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname);
  return isHere && existsSync(own) ? readPassword(own) : undefined;
}
