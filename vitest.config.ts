import { availableParallelism } from 'node:os';

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // Processes, not threads: a test may crash or leak without taking others with it.
    pool: 'forks',
    // Vitest would leave one of two cores to itself, and much of what tests do is to wait for processes.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // onnxruntime-node, the peer in some tests, reports to its makers otherwise.
    env: { ORT_DISABLE_TELEMETRY: '1' },
    projects: [
      {
        extends: true,
        test: {
          name: 'behaviour',
          include: ['test/**/*.test.ts', '*/test/**/*.test.ts', 'core/native/test/**/*.test.ts'],
          exclude: ['**/node_modules/**', '**/dist/**', '**/build/**', 'test/native/**'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // Of tests that say that they are concurrent: those that wait for processes of their own.
          maxConcurrency: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // Compiles for minutes on all cores: after the rest and one at a time.
        extends: true,
        test: {
          name: 'native',
          include: ['test/native/**/*.test.ts'],
          testTimeout: 1_200_000,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
