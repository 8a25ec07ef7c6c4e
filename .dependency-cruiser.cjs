/**
 * What may import what. ARCHITECTURE.md says why; test/integrity/boundaries.test.ts
 * plants a breach of each rule and sees it caught, so a rule added here needs a
 * plant there. Type-only imports count everywhere.
 */

/** Folders of src/ that do one step of the work and know no other step. */
const STAGES =
  'api|dead|decode|deliver|duplicates|ingest|kafka|ledger|limit|observability|overflow|reconcile|rekey|retry|route|samples|schedule|settle|verify';

/** What any stage may import of src/. */
const SHARED = ['^src/domain/', '^src/config/config[.]ts$'];

/** What the lane thread is composed of, besides src/lanes itself. */
const LANE_PARTS = [
  '^src/(decode|deliver|duplicates|limit|route|schedule)/',
  '^src/retry/(retry-(policy|after|headers)|refused-wait)[.]ts$',
  '^src/ledger/rows[.]ts$',
  '^src/observability/lane-(counters|slots)[.]ts$',
];

const ENTRIES = '^src/(cli/main|demo/main|demo/receivers-process|lanes/thread)[.]ts$';

const inPackage = (...names) => `node_modules/(${names.join('|')})/`.replaceAll('.', '[.]');

/** Each package has one home; the rest of src/ knows it by the home's own words. */
const PACKAGE_HOMES = {
  kafka: ['node-rdkafka'],
  lanes: ['piscina'],
  decode: ['avsc'],
  deliver: ['undici'],
  ledger: ['@clickhouse', 'chdb', '@chdb'],
  api: ['uWebSockets.js'],
  observability: ['prom-client'],
  config: ['zod', 'yaml'],
  cli: ['commander'],
  // Pure arithmetic on addresses, for the configuration's checks and the guard of deliver alike.
  domain: ['ipaddr.js'],
};

const homes = Object.entries(PACKAGE_HOMES).map(([home, packages]) => ({
  name: `home-of-${packages[0].replace('@', '')}`,
  comment: `${packages.join(', ')}: only src/${home} may import it.`,
  severity: 'error',
  from: { path: '^src/', pathNot: `^src/${home}/` },
  to: { path: inPackage(...packages) },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycle',
      comment: 'No import cycle, type-only edges included.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-unresolved',
      comment: 'Every import leads somewhere; dist/ is there only after a build.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '(^|/)dist/' },
    },
    {
      name: 'no-orphan',
      comment: 'A module that imports nothing and that nothing imports is dead.',
      severity: 'error',
      from: { path: '^src/', pathNot: ENTRIES, orphan: true },
      to: {},
    },
    {
      name: 'no-unreachable',
      comment: 'Every module of src/ serves an entry of the program, not only a test.',
      severity: 'error',
      from: { path: ENTRIES },
      to: { path: '^src/', pathNot: ENTRIES, reachable: false },
    },
    {
      name: 'src-stands-alone',
      comment: 'What ships knows nothing of tests, benchmarks, scripts, launchers or the build.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|scripts|bin|dist)/' },
    },
    {
      name: 'no-dev-dependency',
      comment: 'What ships imports only what is installed with it.',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev'], pathNot: 'node_modules/@types/' },
    },
    {
      name: 'no-unlisted-package',
      comment: 'A package that package.json does not list is there by accident.',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'domain-imports-nothing',
      comment:
        'src/domain holds the shared words: no other folder, and of packages only what has its home there.',
      severity: 'error',
      from: { path: '^src/domain/' },
      to: { pathNot: ['^src/domain/', inPackage(...PACKAGE_HOMES.domain)], dependencyTypesNot: ['core'] },
    },
    {
      name: 'config-knows-only-domain',
      comment: 'Configuration is compiled without the stages that use it.',
      severity: 'error',
      from: { path: '^src/config/' },
      to: { path: '^src/', pathNot: '^src/(config|domain)/' },
    },
    {
      name: 'stage-isolation',
      comment: 'A stage imports domain and the types of the configuration, never another stage.',
      severity: 'error',
      from: { path: `^src/(${STAGES})/` },
      to: { path: '^src/', pathNot: ['^src/$1/', ...SHARED] },
    },
    {
      name: 'lane-parts',
      comment: 'src/lanes composes the thread, out of the parts named here and no others.',
      severity: 'error',
      from: { path: '^src/lanes/' },
      to: { path: '^src/', pathNot: ['^src/lanes/', ...SHARED, ...LANE_PARTS] },
    },
    {
      name: 'config-by-type-only',
      comment: 'Stages take the compiled configuration as an argument; of its module they need the types.',
      severity: 'error',
      from: { path: `^src/(${STAGES}|lanes)/` },
      to: { path: '^src/config/config[.]ts$', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'app-below-entries',
      comment: 'src/app is started by cli and demo; it does not know them.',
      severity: 'error',
      from: { path: '^src/app/' },
      to: { path: '^src/(cli|demo)/' },
    },
    {
      name: 'known-folder',
      comment: 'A new folder of src/ gets its rules here before its first import.',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/(${STAGES}|app|cli|config|demo|domain|lanes)/` },
      to: {},
    },
    {
      name: 'thread-reachability',
      comment:
        'These load on the main thread only (node-rdkafka refuses a second thread), or read the environment.',
      severity: 'error',
      from: { path: '^src/lanes/thread[.]ts$' },
      to: {
        path: [
          '^src/kafka/',
          '^src/config/load[.]ts$',
          inPackage('node-rdkafka', '@clickhouse', 'chdb', '@chdb', 'uWebSockets.js'),
        ],
        reachable: true,
      },
    },
    ...homes,
  ],
  options: {
    doNotFollow: { path: ['node_modules', '^dist/'] },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      mainFields: ['main', 'types'],
    },
  },
};
