// Formats the C and C++ sources with clang-format, or checks that they are formatted (`--check`).
import { spawnSync } from 'node:child_process';
import { ROOT } from './repository.mjs';
import { SetupError, startLog } from './setup/run-logged.mjs';
import { findMissing, installSystemPackages, LINT_PACKAGES } from './setup/system-packages.mjs';
import { sourceFiles } from './source-files.mjs';

const SOURCE = /\.(c|cc|cpp|h|hpp)$/;

try {
  if (findMissing(LINT_PACKAGES).length > 0) {
    startLog();
    await installSystemPackages(LINT_PACKAGES, [], { verbose: false });
  }
  const files = sourceFiles(ROOT).filter((file) => SOURCE.test(file));
  const mode = process.argv.includes('--check') ? ['--dry-run', '-Werror'] : ['-i'];
  if (files.length > 0) {
    const { status } = spawnSync('clang-format', [...mode, ...files], {
      cwd: ROOT,
      stdio: 'inherit',
    });
    process.exitCode = status ?? 1;
  }
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`axle: ${error.message}`);
  process.exitCode = 1;
}
