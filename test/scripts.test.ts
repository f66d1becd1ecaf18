import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { findViolations } from '../scripts/check-imports.mjs';
import { countTests, problemOf } from '../scripts/test.mjs';

const root = join(import.meta.dirname, '..');

describe('generated constants', () => {
  it('stand in the C headers as proto/registry.json says', () => {
    execFileSync(process.execPath, ['scripts/generate.mjs', '--check'], {
      cwd: root,
      stdio: 'pipe',
    });
  });
});

describe('the check of import directions', () => {
  it.each([
    ['core/src/a.ts', "import { b } from 'axle';", 'core may not import axle'],
    [
      'core/src/a.ts',
      "import { b } from '../../cli/src/b.js';",
      'core may not import cli/src/b.js by path',
    ],
    ['axle/src/a.ts', "export * from '@axle/cli';", 'axle may not import @axle/cli'],
    ['faas/src/a.ts', "import { b } from '@axle/faas';", 'faas may not import @axle/faas'],
    ['faas/test/a.ts', "import { b } from '@axle/cli';", 'faas may not import @axle/cli'],
    ['remoting/src/a.ts', "import { b } from 'axle';", 'remoting may not import axle'],
    [
      'cli/src/a.ts',
      "await import('@axle/core/dist/session.js');",
      'is not a public entry of @axle/core',
    ],
    [
      'cli/src/a.ts',
      "const a = require('@axle/plugin-cpu-fallback');",
      'cli may not import @axle/plugin-cpu-fallback',
    ],
    [
      'plugins/x/src/a.cc',
      '#include "../../../core/native/src/task.h"',
      'plugins/x may not include',
    ],
    ['plugins/common/a.cc', '#include "device.h"', 'plugins/common may not include plugins/x'],
  ])('refuses in %s: %s', (path, text, message) => {
    const others = ['core/native/src/task.h', 'plugins/x/src/device.h'].map((other) => ({
      path: other,
      text: '',
    }));
    const found = findViolations([{ path, text }, ...others]);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ path, line: 1 });
    expect(found[0]?.message).toContain(message);
  });

  it.each([
    ['cli/src/a.ts', "import { connect } from 'axle';"],
    ['axle/src/a.ts', "import { Tensor } from '@axle/core';"],
    ['faas/test/a.ts', "import { b } from '@axle/faas';"],
    ['plugins/x/src/a.cc', '#include <axle/plugin.h>\n#include "own.h"'],
    ['plugins/x/src/a.cc', '#include "common/failure.h"'],
    ['core/test/a.test.ts', "import { onnxModel } from '../../test/onnx-model.mjs';"],
  ])('lets pass in %s: %s', (path, text) => {
    const shared = { path: 'plugins/common/failure.h', text: '' };
    expect(findViolations([{ path, text }, shared])).toEqual([]);
  });
});

describe('the count of tests', () => {
  it('counts a file that fails before its tests as a failure', () => {
    const report = {
      numPassedTests: 5,
      numFailedTests: 1,
      numPendingTests: 2,
      numTodoTests: 1,
      testResults: [
        { status: 'failed', assertionResults: [{ status: 'failed' }] },
        { status: 'failed', assertionResults: [] },
        { status: 'passed', assertionResults: [{ status: 'passed' }] },
      ],
    };
    expect(countTests(report)).toEqual({ passed: 5, failed: 2, skipped: 3 });
  });
});

describe('what npm test says beside the count', () => {
  const nothing = {
    numPassedTests: 0,
    numFailedTests: 0,
    numPendingTests: 0,
    numTodoTests: 0,
    testResults: [],
  };
  const passed = {
    ...nothing,
    numPassedTests: 1,
    testResults: [{ status: 'passed', assertionResults: [{ status: 'passed' }] }],
  };
  const failed = {
    ...nothing,
    numFailedTests: 1,
    testResults: [{ status: 'failed', assertionResults: [{ status: 'failed' }] }],
  };

  it('is that no test file matched, or that vitest failed without a failed test', () => {
    expect(problemOf(1, nothing, ['core/test/nope.test.ts'])).toMatch(
      /no test file matches core\/test\/nope.test.ts/,
    );
    expect(problemOf(1, passed, [])).toMatch(/vitest ended with 1 though no test failed/);
    expect(problemOf(0, passed, [])).toBeUndefined();
    expect(problemOf(1, failed, [])).toBeUndefined();
  });
});
