import type { Command } from 'commander';

import { UsageError } from '../failure.js';
import { addPerfOptions, type PerfCommandOptions } from '../perf/perf-options.js';
import type { CommandContext } from '../session.js';

export function addPerfCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('perf')
    .description('measure throughput and latency under load, with the options of perf_analyzer')
    .argument('<model>', 'as infer takes it, or an op: classify, compress, decompress, echo')
    .action(async (model: string, options: PerfCommandOptions) => {
      if (options.door !== undefined && program.opts<{ readonly on?: string }>().on !== undefined) {
        throw new UsageError('--on and --door are two ways to a server; give one of them');
      }
      // Loaded here for the sake of all other commands.
      const { runPerf } = await import('../perf/run-perf.js');
      await runPerf(model, options, context);
    });
  addPerfOptions(command).addHelpText(
    'after',
    `
With a rate, latency counts from the moment at which a request was due, however late it could be sent. Ctrl-C prints what
was measured. Exit code 1: the server was lost or nothing succeeded, or no load kept --latency-threshold.

Examples:
  $ axle perf mlp --concurrency-range 1:64:21
  $ axle perf mlp --on axle+unix:/run/axle.sock --request-rate-range 500 --request-distribution poisson
  $ axle perf mlp --door grpc://127.0.0.1:8001 -b 8 --percentile 95 -f mlp.csv
  $ axle perf mlp --door http+unix:/run/http.sock --request-rate-range 100:5000:100 -l 20 --percentile 99 --binary-search
  $ axle perf compress --file package-lock.json --json`,
  );
}
