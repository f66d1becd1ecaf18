import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['**/dist/', '**/build/', '**/generated/', 'coverage/', 'axle/models/'] },
  eslint.configs.recommended,
  tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        project: [
          'core/tsconfig.json',
          'plugins/cpu-fallback/tsconfig.json',
          'plugins/cuda/tsconfig.json',
          'plugins/fpga-xrt/tsconfig.json',
          'remoting/tsconfig.json',
          'axle/tsconfig.json',
          'faas/tsconfig.json',
          'faas/ui/tsconfig.json',
          'unikernel-glue/host/tsconfig.json',
          'cli/tsconfig.json',
          'test/tsconfig.json',
          'scripts/tsconfig.json',
        ],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: 'error',
      'prefer-const': 'error',
      // TypeScript knows what is defined, in JavaScript too: all of it is type-checked.
      'no-undef': 'off',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
    },
  },
  {
    files: ['*/src/**/*.ts', 'plugins/**/*.{js,ts}', 'scripts/**/*.mjs', '**/test/**/*.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportDefaultDeclaration', message: 'Export by name.' },
      ],
    },
  },
  {
    // Plain JavaScript reads JSON, of which only a cast in a comment could tell the type.
    files: ['**/*.{js,mjs}'],
    rules: {
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  {
    // The three lines that npm links; what they import is only there once it is built.
    files: ['cli/bin/*.js'],
    extends: [tseslint.configs.disableTypeChecked],
  },
  {
    files: ['**/test/**/*.ts'],
    rules: {
      // Matchers such as expect(object.method) name methods without calling them.
      '@typescript-eslint/unbound-method': 'off',
    },
  },
);
