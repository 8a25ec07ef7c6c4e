import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const NO_ENV = 'Environment variables are read in src/config (and bin) only.';
const NO_CLOCK = 'Only src/domain/clock.ts reads the time; take a Clock.';

/** What of Node a plain .mjs or .cjs file may name without importing it. */
const nodeGlobals = Object.fromEntries(
  [
    ...['AbortController', 'AbortSignal', 'Buffer', 'URL', 'URLSearchParams', 'TextDecoder', 'TextEncoder'],
    ...['clearInterval', 'clearTimeout', 'console', 'fetch', 'performance', 'process', 'queueMicrotask'],
    ...['setImmediate', 'setInterval', 'setTimeout', 'structuredClone'],
  ].map((name) => [name, 'readonly']),
);

const syntax = {
  defaultExport: {
    selector: 'ExportDefaultDeclaration',
    message: 'Name what you export.',
  },
  exportAll: {
    selector: 'ExportAllDeclaration',
    message: 'No barrels: import from the file that declares it.',
  },
  reExport: {
    selector: 'ExportNamedDeclaration[source]',
    message: 'No barrels: import from the file that declares it.',
  },
  enum: { selector: 'TSEnumDeclaration', message: 'Use a const array or object and a union type.' },
  newDate: { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: NO_CLOCK },
  dateCall: { selector: 'CallExpression[callee.name="Date"]', message: NO_CLOCK },
};
const syntaxEverywhere = [syntax.defaultExport, syntax.exportAll, syntax.reExport, syntax.enum];
const syntaxOfSrc = [...syntaxEverywhere, syntax.newDate, syntax.dateCall];

const envProperties = [{ object: 'process', property: 'env', message: NO_ENV }];
const timeProperties = [
  { object: 'Date', property: 'now', message: NO_CLOCK },
  { object: 'performance', property: 'now', message: NO_CLOCK },
  { object: 'performance', property: 'timeOrigin', message: NO_CLOCK },
  { object: 'process', property: 'hrtime', message: NO_CLOCK },
  { object: 'process', property: 'uptime', message: NO_CLOCK },
];

/** The same things under another name: imports that would go around the two rules above. */
const aroundImports = [
  { name: 'node:process', message: 'Use the global `process`, where the lint rules see it.' },
  { name: 'process', message: 'Use the global `process`, where the lint rules see it.' },
  { name: 'node:perf_hooks', importNames: ['performance'], message: NO_CLOCK },
  { name: 'perf_hooks', importNames: ['performance'], message: NO_CLOCK },
];

const sizes = {
  'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
  'max-lines-per-function': ['error', { max: 80, skipBlankLines: true, skipComments: true }],
  complexity: ['error', 15],
};

const typed = {
  '@typescript-eslint/switch-exhaustiveness-check': [
    'error',
    { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: true },
  ],
  '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
  '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
  '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
  '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
  // `array[i] as T` says "inside the bounds" beside noUncheckedIndexedAccess; a bare `!` stays forbidden in src.
  '@typescript-eslint/non-nullable-type-assertion-style': 'off',
  // `while (true)` is how a loop that ends inside is written.
  '@typescript-eslint/no-unnecessary-condition': [
    'error',
    { allowConstantLoopConditions: 'only-allowed-literals' },
  ],
  eqeqeq: 'error',
  'object-shorthand': 'error',
  'no-restricted-syntax': ['error', ...syntaxEverywhere],
};

export default defineConfig(
  { ignores: ['dist/', 'node_modules/', '.cache/', 'coverage/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },

  {
    files: ['**/*.ts'],
    extends: [
      js.configs.recommended,
      tseslint.configs.strictTypeChecked,
      tseslint.configs.stylisticTypeChecked,
    ],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: typed,
  },

  {
    files: ['src/**/*.ts'],
    rules: {
      ...sizes,
      'no-console': 'error',
      'no-restricted-syntax': ['error', ...syntaxOfSrc],
      'no-restricted-properties': ['error', ...envProperties, ...timeProperties],
      'no-restricted-imports': ['error', { paths: aroundImports }],
    },
  },
  {
    files: ['src/config/**/*.ts'],
    rules: { 'no-restricted-properties': ['error', ...timeProperties] },
  },
  {
    files: ['src/domain/clock.ts'],
    rules: {
      'no-restricted-syntax': ['error', ...syntaxEverywhere],
      'no-restricted-properties': ['error', ...envProperties],
    },
  },
  { files: ['src/cli/**/*.ts', 'src/demo/**/*.ts'], rules: { 'no-console': 'off' } },

  {
    files: ['test/**/*.ts', 'bench/**/*.ts', '*.ts'],
    rules: {
      // Tests build wrong values and read loosely typed answers on purpose; what they assert is the check.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/restrict-template-expressions': 'off',
      '@typescript-eslint/unbound-method': 'off',
      'max-lines': ['error', { max: 600, skipBlankLines: true, skipComments: true }],
    },
  },
  // Tools ask for their configuration as a default export.
  { files: ['*.config.ts'], rules: { 'no-restricted-syntax': 'off' } },

  {
    files: ['**/*.js', '**/*.mjs', '**/*.cjs'],
    extends: [js.configs.recommended],
    languageOptions: { globals: nodeGlobals },
    rules: { eqeqeq: 'error', 'object-shorthand': 'error', 'prefer-const': 'error', 'no-var': 'error' },
  },
  {
    files: ['**/*.cjs'],
    languageOptions: {
      sourceType: 'commonjs',
      globals: { ...nodeGlobals, require: 'readonly', module: 'writable', __dirname: 'readonly' },
    },
  },
);
