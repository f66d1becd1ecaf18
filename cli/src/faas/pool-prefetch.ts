import { oneLine } from '../failure.js';

interface Access {
  readonly url: string;
  readonly token: string;
}

/**
 * Lets a pool load the models of a function while its instance boots: as the function itself, so that what it may use is
 * what counts. What fails here the instance will say better.
 */
export class PoolPrefetch {
  private readonly underWay = new Set<string>();

  constructor(
    private readonly access: (functionName: string) => Promise<Access>,
    private readonly log: (message: string) => void,
  ) {}

  /** Many instances of a function may start at once: one asks. */
  begin(functionName: string, models: readonly string[]): void {
    if (this.underWay.has(functionName)) return;
    this.underWay.add(functionName);
    this.load(functionName, models)
      .catch((error: unknown) => {
        this.log(`${functionName}: cannot load ahead: ${oneLine(error)}`);
      })
      .finally(() => this.underWay.delete(functionName));
  }

  private async load(functionName: string, models: readonly string[]): Promise<void> {
    const { connect } = await import('axle');
    const { url, token } = await this.access(functionName);
    const client = await connect(url, { token });
    try {
      await Promise.all(models.map((model) => client.prefetch(model)));
    } finally {
      await client.close();
    }
  }
}
