import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';

import type { Command } from 'commander';

import { DevCa } from '../dev-ca.js';
import { UsageError } from '../failure.js';
import { addJsonOption, wholeNumber, type JsonOption } from '../options.js';
import { printable } from '../printable.js';
import { print } from '../standard-output.js';

const defaultHosts = ['localhost', '127.0.0.1', '::1'];
const defaultDays = 365;
const daysMax = 3650;
const dnsName = /^(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9-]{1,63}$/;

interface DevOptions extends JsonOption {
  readonly host?: string[];
  readonly client?: string[];
  readonly days: number;
}

export function addCaCommand(program: Command): void {
  const ca = program.command('ca').description('certificates for trying TLS out');
  const dev = ca
    .command('dev')
    .description('make a private CA in a folder, and certificates of it; not for production')
    .argument('<dir>', 'the folder; a CA that is there already is used again')
    .option('--host <name>', 'a name or address of the server; may be repeated', gather)
    .option(
      '--client <tenant>',
      'a certificate for a client of this tenant; may be repeated',
      gather,
    )
    .option(
      '--days <number>',
      'how long the certificates are good',
      wholeNumber(1, daysMax),
      defaultDays,
    )
    .action(makeCertificates);
  addJsonOption(dev);
  for (const command of [ca, dev]) {
    command.addHelpText(
      'after',
      `
The server's certificate is made where there is none, or where --host says for which names; default: ${defaultHosts.join(', ')}.
Whoever can read DIR/ca.key can pose as the server and as any tenant.

Examples:
  $ axle ca dev pki --client alice
  $ axle serve --listen tls:localhost:7471 --tls-cert pki/server.crt --tls-key pki/server.key --tls-client-ca pki/ca.crt
  $ export AXLE_TLS_CA=pki/ca.crt AXLE_TLS_CERT=pki/client-alice.crt AXLE_TLS_KEY=pki/client-alice.key
  $ AXLE_ENDPOINT=axle+tls://localhost:7471 axle devices`,
    );
  }
}

function gather(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

async function makeCertificates(folder: string, options: DevOptions): Promise<void> {
  const { host: hosts, client: tenants = [], days } = options;
  for (const host of hosts ?? []) {
    if (isIP(host) !== 0 || dnsName.test(host)) continue;
    throw new UsageError(`'${host}' is neither a name nor an address of a host`);
  }
  const { isTenantName, tenantUriPrefix } = await import('@axle/remoting');
  for (const tenant of tenants) {
    if (isTenantName(tenant)) continue;
    throw new UsageError(`'${tenant}' is no name of a tenant; use letters, digits, . _ and -`);
  }
  const made = await DevCa.within(folder, async (ca) => {
    const files: string[] = [];
    if (hosts !== undefined || !existsSync(join(folder, 'server.crt'))) {
      const leaf = { kind: 'server', hosts: hosts ?? defaultHosts } as const;
      files.push(...(await ca.issue('server', leaf, days)));
    }
    for (const tenant of tenants) {
      const leaf = { kind: 'client', uri: `${tenantUriPrefix}${tenant}` } as const;
      files.push(...(await ca.issue(`client-${tenant}`, leaf, days)));
    }
    return files;
  });
  if (options.json === true) {
    await print(`${JSON.stringify({ files: made.map((file) => join(folder, file)) })}\n`);
    return;
  }
  for (const file of made) await print(`${printable(join(folder, file))}\n`);
}
