import { Option, type Command } from 'commander';

import { FileError, UsageError } from '../failure.js';
import {
  addGatewayOptions,
  GatewayClient,
  type GatewayOptions,
} from '../gateway/gateway-client.js';
import { makeFunction, templateNames, type TemplateName } from '../gateway/function-templates.js';
import { pushFunction } from '../gateway/push-function.js';
import { untilReady } from '../gateway/until-ready.js';
import { openInput } from '../input.js';
import { addJsonOption, wholeNumber, type JsonOption } from '../options.js';
import { openOutput } from '../output.js';
import { printable } from '../printable.js';
import type { CommandContext } from '../session.js';
import { print, writeToStandardOutput } from '../standard-output.js';
import { formatTable } from '../table.js';
import { painterFor } from '../terminal.js';
import { formatBytes } from '../units.js';

interface RemoteOptions extends GatewayOptions, JsonOption {}

interface DeployOptions extends RemoteOptions {
  readonly name?: string;
  readonly env: readonly string[];
  readonly label: readonly string[];
  readonly secret: readonly string[];
  readonly memory?: string;
  /** Seconds; false: it does not. */
  readonly wait: number | false;
}

interface InvokeOptions extends RemoteOptions {
  readonly file: string;
  readonly output: string;
  readonly contentType: string;
  readonly path: string;
  readonly async?: true;
  readonly force?: true;
}

interface LogsOptions extends RemoteOptions {
  readonly follow?: true;
  readonly tail: string;
}

interface FunctionEntry {
  readonly name: string;
  readonly image: string;
  readonly replicas: number;
  readonly availableReplicas: number;
  readonly invocationCount: number;
  readonly createdAt: string;
  /** What was deployed last does not run. */
  readonly failure?: { readonly code: string; readonly message: string };
}

interface BundleEntry {
  readonly name: string;
  readonly tag: string;
  readonly id: string;
  readonly bytes: number;
  /** Why it cannot run. */
  readonly trouble?: string;
}

/** Longer than an instance may take to start. */
const waitSecondsDefault = 90;
const waitSecondsMax = 3600;

const several = (each: string, before: readonly string[]): string[] => [...before, each];

export function addFunctionCommand(program: Command, { signal }: CommandContext): void {
  const group = program
    .command('function')
    .description('make, push, deploy and call the functions of a front end (axle faas)');
  group
    .command('new')
    .description('make the folder of a function to start from')
    .argument('<dir>', 'the folder; its name is that of the function')
    .addOption(new Option('--template <name>', 'what it is').choices(templateNames).default('node'))
    .action(async (folder: string, { template }: { template: TemplateName }) => {
      const { name, files } = await makeFunction(folder, template);
      await print(`${files.map((file) => `${printable(folder)}/${file}\n`).join('')}`);
      hint(`next: axle function push ${folder} && axle function deploy ${name}`);
    });
  const push = group
    .command('push')
    .description(
      'send the folder of a function to a front end, which keeps it; what it has is not sent again',
    )
    .argument('<dir>', 'the folder with its axle-function.json')
    .option('--tag <tag>', 'what this version is called', 'latest')
    .action(async (folder: string, options: RemoteOptions & { tag: string }) => {
      const pushed = await pushFunction(
        await GatewayClient.open(options),
        folder,
        options.tag,
        signal,
      );
      const { name, tag, files, sentBytes } = pushed;
      if (options.json === true) return print(`${JSON.stringify(pushed)}\n`);
      await print(`${name}:${tag}\n`);
      hint(
        `${files} files, ${formatBytes(sentBytes)} of them sent. Next: axle function deploy ${name}:${tag}`,
      );
    });
  const deploy = group
    .command('deploy')
    .description('run a function that was pushed, or its new version')
    .argument('<image>', 'NAME[:TAG], as push prints it')
    .option('--name <name>', 'run it under this name (default: its own)')
    .option('--env <name=value>', 'a variable of its environment; may be repeated', several, [])
    .option(
      '--label <name=value>',
      'a label, such as com.openfaas.scale.max=4; may be repeated',
      several,
      [],
    )
    .option('--secret <name>', 'a secret that it may read; may be repeated', several, [])
    .option('--memory <quantity>', 'memory of one instance, such as 256Mi')
    .option(
      '--wait <seconds>',
      'for which it is watched until an instance of it is ready',
      wholeNumber(1, waitSecondsMax),
      waitSecondsDefault,
    )
    .option('--no-wait', 'do not watch whether it starts')
    .action((image: string, options: DeployOptions) => deployCommand(image, options, signal));
  const list = group
    .command('list')
    .description('show what is deployed')
    .option('--bundles', 'what is pushed, instead')
    .action((options: RemoteOptions & { bundles?: true }) => listCommand(options, signal));
  const remove = group
    .command('rm')
    .description('stop a function; with a tag, forget a version that was pushed')
    .argument('<name>', 'NAME, or NAME:TAG')
    .action((name: string, options: RemoteOptions) => removeCommand(name, options, signal));
  const invoke = group
    .command('invoke')
    .description('call a function: standard input to it, its answer to standard output')
    .argument('<name>', 'the function')
    .option('--file <file>', 'what it gets; - is standard input', '-')
    .option('-o, --output <file>', 'where its answer goes; - is standard output', '-')
    .option('--content-type <type>', 'of what it gets', 'application/octet-stream')
    .option('--path <path>', 'below the function', '/')
    .option('--async', 'be told the id of the call, and not its answer')
    .option('--force', 'replace a file that is there')
    .action((name: string, options: InvokeOptions) => invokeCommand(name, options, signal));
  const logs = group
    .command('logs')
    .description('show what the instances of a function printed')
    .argument('<name>', 'the function')
    .option('-f, --follow', 'go on with what comes, until Ctrl-C')
    .option('--tail <lines>', 'so many lines of before; -1 is all that are kept', '-1')
    .action((name: string, options: LogsOptions) => logsCommand(name, options, signal));
  for (const command of [push, deploy, list, remove, invoke, logs]) addGatewayOptions(command);
  for (const command of [push, deploy, list, remove, logs]) addJsonOption(command);
  for (const command of [group, ...group.commands]) {
    command.addHelpText(
      'after',
      `
Examples:
  $ axle function new hello --template node
  $ axle function push hello
  $ axle function deploy hello --label com.openfaas.scale.max=4
  $ echo world | axle function invoke hello
  $ axle function logs hello --follow`,
    );
  }
}

async function deployCommand(
  image: string,
  options: DeployOptions,
  signal: AbortSignal,
): Promise<void> {
  const { parseBundleReference } = await import('@axle/faas');
  const { name } = parseBundleReference(image);
  const client = await GatewayClient.open(options);
  const service = options.name ?? name;
  const deployment = {
    service,
    image,
    envVars: pairsOf('--env', options.env),
    labels: pairsOf('--label', options.label),
    secrets: options.secret,
    ...(options.memory === undefined ? {} : { limits: { memory: options.memory } }),
  };
  const body = JSON.stringify(deployment);
  const path = '/system/functions';
  // As OpenFaaS's own client: new where there is nothing to update.
  const response = await client.send('PUT', path, { body, signal }).catch((error: unknown) => {
    const isNew =
      error instanceof FileError &&
      error.code === 'NOT_FOUND' &&
      error.message.includes('there is no function');
    if (!isNew) throw error;
    return client.send('POST', path, { body, signal });
  });
  for (const note of (await response.text()).split('\n').filter((line) => line !== ''))
    hint(`note: ${note}`);
  if (options.wait !== false) await untilReady(client, service, options.wait, signal);
  const url = `${client.url}/function/${service}`;
  if (options.json === true) await print(`${JSON.stringify({ name: service, image, url })}\n`);
  else await print(`${url}\n`);
}

async function listCommand(
  options: RemoteOptions & { bundles?: true },
  signal: AbortSignal,
): Promise<void> {
  const client = await GatewayClient.open(options);
  const path = options.bundles === true ? '/axle/v1/bundles' : '/system/functions';
  const entries = await client.json<unknown[]>('GET', path, signal);
  if (options.json === true) return print(`${JSON.stringify(entries, null, 2)}\n`);
  const painter = painterFor(process.stdout);
  if (options.bundles === true) {
    const bundles = entries as BundleEntry[];
    const rows = bundles.map(({ name, tag, id, bytes }) => [
      `${name}:${tag}`,
      id.slice(0, 12),
      formatBytes(bytes),
    ]);
    await print(formatTable(['BUNDLE', 'ID', 'SIZE'], rows, painter));
    for (const { name, tag, trouble } of bundles)
      if (trouble !== undefined) hint(`${name}:${tag} cannot run: ${trouble}`);
    return;
  }
  const functions = entries as FunctionEntry[];
  const rows = functions.map((entry) => [
    entry.name,
    entry.image,
    `${entry.availableReplicas}/${entry.replicas}`,
    String(entry.invocationCount),
    entry.createdAt,
  ]);
  await print(formatTable(['FUNCTION', 'IMAGE', 'INSTANCES', 'CALLS', 'CREATED'], rows, painter));
  for (const { name, failure } of functions) {
    if (failure !== undefined)
      hint(`${name} does not start as it was deployed last: ${failure.message} (${failure.code})`);
  }
}

async function removeCommand(
  name: string,
  options: RemoteOptions,
  signal: AbortSignal,
): Promise<void> {
  const client = await GatewayClient.open(options);
  if (name.includes(':')) {
    await client.send('DELETE', `/axle/v1/bundles/tags/${encodeURIComponent(name)}`, { signal });
  } else {
    await client.send('DELETE', '/system/functions', {
      body: JSON.stringify({ functionName: name }),
      signal,
    });
  }
  if (options.json === true) await print(`${JSON.stringify({ name })}\n`);
}

async function invokeCommand(
  name: string,
  options: InvokeOptions,
  signal: AbortSignal,
): Promise<void> {
  const client = await GatewayClient.open(options);
  if (!options.path.startsWith('/'))
    throw new UsageError(`--path begins with /; not '${options.path}'`);
  const input = await openInput(options.file);
  const door = options.async === true ? 'async-function' : 'function';
  try {
    const response = await client.call(
      'POST',
      `/${door}/${encodeURIComponent(name)}${options.path}`,
      {
        body: input.stream(),
        headers: { 'content-type': options.contentType },
        signal,
      },
    );
    if (!response.ok) throw await client.failure(response);
    if (options.async === true) return await print(`${response.headers.get('x-call-id') ?? ''}\n`);
    await writeAnswer(response, options, signal);
  } finally {
    await input.close();
  }
}

async function writeAnswer(
  response: Response,
  { output, force }: InvokeOptions,
  signal: AbortSignal,
): Promise<void> {
  const chunks = (response.body ?? []) as AsyncIterable<Uint8Array>;
  if (output === '-') {
    for await (const chunk of chunks) await writeToStandardOutput(chunk);
    return;
  }
  const file = await openOutput(output, { force: force === true, signal });
  try {
    for await (const chunk of chunks) {
      await new Promise<void>((resolve, reject) => {
        file.sink.write(chunk, (error) => (error ? reject(error) : resolve()));
      });
    }
    await new Promise<void>((resolve) => file.sink.end(resolve));
    await file.commit();
  } finally {
    await file.discard();
  }
}

async function logsCommand(name: string, options: LogsOptions, signal: AbortSignal): Promise<void> {
  const client = await GatewayClient.open(options);
  const query = new URLSearchParams({
    name,
    tail: options.tail,
    follow: String(options.follow === true),
  });
  const response = await client.send('GET', `/system/logs?${query.toString()}`, { signal });
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() as string;
    for (const line of lines) await print(options.json === true ? `${line}\n` : textOfLine(line));
  }
}

function textOfLine(line: string): string {
  const { timestamp, instance, text } = JSON.parse(line) as Record<string, string>;
  return `${timestamp} ${printable(instance as string)} ${printable(text as string)}\n`;
}

function pairsOf(option: string, texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw new UsageError(`${option} takes NAME=VALUE; not '${text}'`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

/** What goes to people must not end up in a pipe. */
function hint(text: string): void {
  process.stderr.write(`${printable(text)}\n`);
}
