import type {
  CallOptions,
  ClassifyOptions,
  CompressOptions,
  DecompressOptions,
  ExplainOptions,
  InferOptions,
  PutOptions,
  RunOptions,
} from './client.js';
import type { ClientTlsOptions, ConnectOptions, ReconnectOptions } from './connect.js';
import { AxleError } from './errors.js';
import type { PluginSpec } from './plugin-spec.js';

function namesOf<T>(...names: readonly (keyof T & string)[]): ReadonlySet<string> {
  return new Set(names);
}

const ofCalls = ['signal', 'deadlineMs', 'priority', 'device', 'strict'] as const;

/** The options of each kind of call, and those inside the options of `connect`. */
export const knownOptions = {
  call: namesOf<CallOptions>(...ofCalls),
  classify: namesOf<ClassifyOptions>(...ofCalls, 'model', 'topK'),
  infer: namesOf<InferOptions>(...ofCalls, 'into', 'keep'),
  run: namesOf<RunOptions>(...ofCalls, 'args', 'into', 'keep'),
  put: namesOf<PutOptions>('signal', 'deadlineMs'),
  compress: namesOf<CompressOptions>(...ofCalls, 'codec', 'level'),
  decompress: namesOf<DecompressOptions>(...ofCalls, 'codec', 'outputBytesMax'),
  connect: namesOf<ConnectOptions>(
    'models',
    'plugins',
    'limits',
    'token',
    'tenant',
    'tls',
    'reconnect',
  ),
  plugin: namesOf<PluginSpec>('name', 'path', 'options', 'device'),
  tls: namesOf<ClientTlsOptions>('ca', 'cert', 'key', 'serverName'),
  reconnect: namesOf<ReconnectOptions>('timeoutMs', 'alternates'),
  explain: namesOf<ExplainOptions>('model', 'device', 'strict'),
};

/**
 * Refuses what would be passed over in silence: 'deadlineMS' sets no deadline.
 *
 * @param of whose options they are, for the message.
 * @throws AxleError INVALID_ARGUMENT naming the option and those that there are.
 */
export function refuseUnknownOptions(
  options: object,
  known: ReadonlySet<string>,
  of = 'this call',
): void {
  for (const name in options) {
    if (known.has(name) || (options as Record<string, unknown>)[name] === undefined) continue;
    throw new AxleError(
      'INVALID_ARGUMENT',
      `there is no option '${name}'; ${of} has ${[...known].join(', ')}`,
    );
  }
}
