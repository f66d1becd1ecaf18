import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { FileError, fileFailure, isSystemError } from './failure.js';

const run = promisify(execFile);

const caDays = 3650;
const privateMode = 0o600;
const publicMode = 0o644;
const serialBytes = 16;
/** RFC 5280, in characters. */
const commonNameMax = 64;

/** What a certificate is for: one of a client must not pass for a server. */
export type LeafKind =
  | { readonly kind: 'server'; readonly hosts: readonly string[] }
  | { readonly kind: 'client'; readonly uri: string };

/**
 * A certificate authority in a folder, for development: `ca.crt`, and beside it `ca.key` without a password. The work is
 * done by the `openssl` command, since Node makes no certificates.
 */
export class DevCa {
  private constructor(
    private readonly folder: string,
    /** In the folder, so that what is made there can be renamed into place. */
    private readonly workFolder: string,
  ) {}

  /**
   * Opens the one in the folder, or makes one there, for as long as `work` takes.
   *
   * @returns the names of the files that were made.
   * @throws FileError FAILED_PRECONDITION where only half of one is there; as the system says.
   */
  static async within(
    folder: string,
    work: (ca: DevCa) => Promise<readonly string[]>,
  ): Promise<readonly string[]> {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const workFolder = await mkdtemp(join(folder, '.axle-ca-'));
      try {
        const ca = new DevCa(folder, workFolder);
        const made = isThere(folder) ? [] : await ca.create();
        return [...made, ...(await work(ca))];
      } finally {
        await rm(workFolder, { recursive: true });
      }
    } catch (error) {
      throw fileFailure(error, folder);
    }
  }

  /** Makes `NAME.crt` and `NAME.key`, in the place of those that were there. */
  async issue(name: string, leaf: LeafKind, days: number): Promise<readonly string[]> {
    const [key, request, certificate] = this.paths(`${name}.key`, `${name}.csr`, `${name}.crt`);
    await this.makeKey(key);
    const config = await this.configure(name, leafExtensions(leaf));
    await openssl('req', '-new', '-key', key, '-config', config, '-out', request);
    const ca = ['-CA', join(this.folder, 'ca.crt'), '-CAkey', join(this.folder, 'ca.key')];
    const terms = ['-set_serial', `0x${serial()}`, '-days', String(days)];
    const extensions = ['-extfile', config, '-extensions', 'extensions'];
    const output = ['-in', request, '-out', certificate];
    await openssl('x509', '-req', '-sha256', ...ca, ...terms, ...extensions, ...output);
    return this.place(name);
  }

  private async create(): Promise<readonly string[]> {
    const [key, certificate] = this.paths('ca.key', 'ca.crt');
    await this.makeKey(key);
    const config = await this.configure('Axle development CA', [
      'basicConstraints = critical, CA:TRUE, pathlen:0',
      'keyUsage = critical, keyCertSign, cRLSign',
      'subjectKeyIdentifier = hash',
    ]);
    const terms = ['-set_serial', `0x${serial()}`, '-days', String(caDays)];
    const files = ['-key', key, '-config', config, '-out', certificate];
    await openssl(
      'req',
      '-new',
      '-x509',
      '-sha256',
      '-extensions',
      'extensions',
      ...terms,
      ...files,
    );
    return this.place('ca');
  }

  private async makeKey(path: string): Promise<void> {
    // Nobody else may read it, from its first byte.
    await writeFile(path, '', { mode: privateMode });
    const curve = ['-pkeyopt', 'ec_paramgen_curve:P-256'];
    await openssl('genpkey', '-algorithm', 'EC', ...curve, '-out', path);
    await chmod(path, privateMode);
  }

  private async configure(commonName: string, extensions: readonly string[]): Promise<string> {
    const [path] = this.paths('openssl.cnf');
    const lines = [
      '[req]',
      'prompt = no',
      'distinguished_name = name',
      '[name]',
      `CN = ${commonName.slice(0, commonNameMax)}`,
      '[extensions]',
      ...extensions,
    ];
    await writeFile(path, `${lines.join('\n')}\n`);
    return path;
  }

  private async place(name: string): Promise<readonly string[]> {
    const made = [`${name}.key`, `${name}.crt`];
    await chmod(join(this.workFolder, `${name}.crt`), publicMode);
    for (const file of made) await rename(join(this.workFolder, file), join(this.folder, file));
    return made;
  }

  private paths<const T extends readonly string[]>(...names: T): { [K in keyof T]: string } {
    return names.map((name) => join(this.workFolder, name)) as { [K in keyof T]: string };
  }
}

/** @throws FileError where only half of one is there: another would make void what it has signed. */
function isThere(folder: string): boolean {
  const has = (name: string) => existsSync(join(folder, name));
  if (has('ca.key') === has('ca.crt')) return has('ca.key');
  const [one, other] = has('ca.crt') ? ['ca.crt', 'ca.key'] : ['ca.key', 'ca.crt'];
  throw new FileError(
    'FAILED_PRECONDITION',
    `${folder} has a ${one} without its ${other}: put ${other} back, or take ${one} away for a new CA, which nobody trusts yet`,
  );
}

function leafExtensions(leaf: LeafKind): string[] {
  const names =
    leaf.kind === 'client'
      ? [`URI:${leaf.uri}`]
      : leaf.hosts.map((host) => `${isIP(host) === 0 ? 'DNS' : 'IP'}:${host}`);
  return [
    'basicConstraints = critical, CA:FALSE',
    'keyUsage = critical, digitalSignature',
    `extendedKeyUsage = ${leaf.kind}Auth`,
    `subjectAltName = ${names.join(', ')}`,
    'authorityKeyIdentifier = keyid',
  ];
}

/** RFC 5280: positive, and at most 20 bytes. */
function serial(): string {
  return `01${randomBytes(serialBytes).toString('hex')}`;
}

async function openssl(...args: readonly string[]): Promise<void> {
  try {
    await run('openssl', args);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) {
      throw new FileError(
        'UNIMPLEMENTED',
        'there is no openssl here; install it (on Debian: apt-get install openssl), or use certificates of a CA of yours',
        { cause: error },
      );
    }
    const { stderr = '' } = error as { stderr?: string };
    throw new FileError('INTERNAL', `openssl ${args[0] ?? ''} failed: ${stderr.trim()}`, {
      cause: error,
    });
  }
}
