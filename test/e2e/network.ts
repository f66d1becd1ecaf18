import { spawn, spawnSync, type ChildProcess } from 'node:child_process';

/** Why this machine has no network namespaces of the tests' own; undefined: it has. */
export function whyNoNetwork(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are of Linux';
  if (process.getuid?.() !== 0) return 'only root makes network namespaces';
  const name = `axle-try-${process.pid}`;
  const { status, stderr, error } = spawnSync('ip', ['netns', 'add', name]);
  if (error !== undefined) return `there is no ip command (${error.message})`;
  if (status !== 0) {
    return `only root makes network namespaces, and not everywhere: ${String(stderr).trim()}`;
  }
  spawnSync('ip', ['netns', 'del', name]);
  return undefined;
}

function ip(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('ip', args);
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${String(stderr).trim()}`);
}

let networks = 0;

/**
 * Machines of a network of the test's own: each is a network namespace, joined to the others by a veth pair and a bridge in
 * one more. This process is in none of them.
 */
export class TestNetwork {
  private readonly prefix: string;
  private readonly hub: string;
  private readonly hosts: string[] = [];

  constructor() {
    networks += 1;
    this.prefix = `axle-${process.pid}-${networks}`;
    this.hub = `${this.prefix}-hub`;
    ip('netns', 'add', this.hub);
    ip('-n', this.hub, 'link', 'add', 'bridge', 'type', 'bridge');
    ip('-n', this.hub, 'link', 'set', 'bridge', 'up');
  }

  /** One more machine. @returns its address */
  add(host: string): string {
    const space = this.spaceOf(host);
    this.hosts.push(host);
    const address = this.addressOf(host);
    ip('netns', 'add', space);
    ip('-n', space, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', host, 'netns', this.hub);
    ip('-n', this.hub, 'link', 'set', host, 'master', 'bridge', 'up');
    ip('-n', space, 'address', 'add', `${address}/24`, 'dev', 'eth0');
    ip('-n', space, 'link', 'set', 'eth0', 'up');
    ip('-n', space, 'link', 'set', 'lo', 'up');
    return address;
  }

  addressOf(host: string): string {
    return `10.77.0.${this.hosts.indexOf(host) + 1}`;
  }

  /** Cuts a machine off from all others, or joins it to them again: nobody is told, what is sent is lost. */
  set(host: string, state: 'up' | 'down'): void {
    ip('-n', this.hub, 'link', 'set', host, state);
  }

  /** Runs Node there, with a channel for messages. */
  spawn(host: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): ChildProcess {
    const line = ['netns', 'exec', this.spaceOf(host), process.execPath, ...args];
    return spawn('ip', line, {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, ...environment },
    });
  }

  /** To be called when nothing runs there any more. */
  close(): void {
    for (const host of this.hosts) spawnSync('ip', ['netns', 'del', this.spaceOf(host)]);
    spawnSync('ip', ['netns', 'del', this.hub]);
  }

  private spaceOf(host: string): string {
    return `${this.prefix}-${host}`;
  }
}
