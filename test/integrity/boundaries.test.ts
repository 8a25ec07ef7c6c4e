/**
 * The import rules of .dependency-cruiser.cjs are alive: a small tree that keeps
 * them all passes, and each breach planted in it is caught by the rule it breaks.
 */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../..');
const DEPCRUISE = path.join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');

type Tree = Record<string, string>;
interface Violation {
  rule: { name: string };
  from: string;
  to: string;
}

const imports = (...files: string[]): string => files.map((file) => `import '${file}';\n`).join('');

/** The smallest tree in which every file is in its place: each plant below adds one file to it. */
const SOUND: Tree = {
  'src/domain/event.ts': imports('node:crypto', 'ipaddr.js'),
  'src/config/config.ts': `import '../domain/event.ts';\nexport interface Config { lanes: number }\n`,
  'src/config/load.ts': imports('zod', 'yaml', './config.ts'),
  'src/kafka/client.ts':
    imports('node-rdkafka', '../domain/event.ts') +
    `import type { Config } from '../config/config.ts';\nexport type Used = Config;\n`,
  'src/decode/decode.ts': imports('avsc', '../domain/event.ts'),
  'src/deliver/post.ts': imports('undici', '../domain/event.ts'),
  'src/ledger/rows.ts': imports('../domain/event.ts'),
  'src/ledger/client.ts': imports('@clickhouse/client', 'chdb', './rows.ts'),
  'src/retry/retry-policy.ts': imports('../domain/event.ts'),
  'src/retry/hand-over.ts': imports('./retry-policy.ts'),
  'src/observability/lane-counters.ts': imports('../domain/event.ts'),
  'src/observability/metrics.ts': imports('prom-client', './lane-counters.ts'),
  'src/api/server.ts': imports('uWebSockets.js', '../domain/event.ts'),
  'src/lanes/pool.ts': imports('piscina', '../domain/event.ts'),
  'src/lanes/thread.ts': imports(
    '../decode/decode.ts',
    '../deliver/post.ts',
    '../ledger/rows.ts',
    '../retry/retry-policy.ts',
    '../observability/lane-counters.ts',
  ),
  'src/app/pipeline.ts': imports(
    '../config/load.ts',
    '../kafka/client.ts',
    '../lanes/pool.ts',
    '../ledger/client.ts',
    '../retry/hand-over.ts',
    '../observability/metrics.ts',
    '../api/server.ts',
  ),
  'src/cli/main.ts': imports('commander', '../app/pipeline.ts'),
  'src/demo/main.ts': imports('../app/pipeline.ts'),
  'test/decode/decode.test.ts': imports('vitest', '../../src/decode/decode.ts'),
};

interface Plant {
  readonly rule: string;
  readonly breach: string;
  /** Path, and content that replaces or joins what the sound tree has there. */
  readonly file: string;
  readonly content: string;
  /** What the violation must name as its target, where one file breaks a rule several times. */
  readonly to?: string;
}

const PLANTS: Plant[] = [
  {
    rule: 'no-cycle',
    breach: 'two modules that import each other’s types',
    file: 'src/decode/ring-a.ts',
    content: `import type { B } from './ring-b.ts';\nexport interface A { b: B }\n`,
  },
  {
    rule: 'no-unresolved',
    breach: 'an import that leads nowhere',
    file: 'src/decode/lost.ts',
    content: imports('./not-there.ts'),
  },
  {
    rule: 'no-orphan',
    breach: 'a module alone',
    file: 'src/decode/alone.ts',
    content: 'export const x = 1;\n',
  },
  {
    rule: 'no-unreachable',
    breach: 'a module that only a test imports',
    file: 'src/decode/only-tested.ts',
    content: imports('../domain/event.ts'),
  },
  {
    rule: 'src-stands-alone',
    breach: 'src importing a test',
    file: 'src/decode/tested.ts',
    content: imports('../../test/decode/decode.test.ts'),
  },
  {
    rule: 'no-dev-dependency',
    breach: 'src importing a development tool',
    file: 'src/decode/dev.ts',
    content: imports('fast-check'),
  },
  {
    rule: 'no-unlisted-package',
    breach: 'a package that only another package brought along',
    file: 'src/decode/unlisted.ts',
    content: imports('acorn'),
  },
  {
    rule: 'domain-imports-nothing',
    breach: 'domain importing a package',
    file: 'src/domain/package.ts',
    content: imports('pino'),
  },
  {
    rule: 'domain-imports-nothing',
    breach: 'domain importing a stage',
    file: 'src/domain/stage.ts',
    content: imports('../retry/retry-policy.ts'),
  },
  {
    rule: 'config-knows-only-domain',
    breach: 'configuration importing a stage',
    file: 'src/config/stage.ts',
    content: imports('../retry/retry-policy.ts'),
  },
  {
    rule: 'stage-isolation',
    breach: 'a stage importing another stage',
    file: 'src/decode/stage.ts',
    content: imports('../retry/retry-policy.ts'),
  },
  {
    rule: 'stage-isolation',
    breach: 'a stage importing the type of another stage',
    file: 'src/decode/stage-type.ts',
    content: `import type { R } from '../ledger/rows.ts';\nexport type S = R;\n`,
  },
  {
    rule: 'stage-isolation',
    breach: 'a stage importing the configuration’s loader',
    file: 'src/decode/loader.ts',
    content: imports('../config/load.ts'),
  },
  {
    rule: 'stage-isolation',
    breach: 'a stage importing the application',
    file: 'src/decode/upwards.ts',
    content: imports('../app/pipeline.ts'),
  },
  {
    rule: 'lane-parts',
    breach: 'lanes importing a part that is not the thread’s',
    file: 'src/lanes/hand-over.ts',
    content: imports('../retry/hand-over.ts'),
  },
  {
    rule: 'config-by-type-only',
    breach: 'a stage importing values of the configuration’s module',
    file: 'src/decode/config-value.ts',
    content: `import { LEVELS } from '../config/config.ts';\nexport const levels = LEVELS;\n`,
  },
  {
    rule: 'app-below-entries',
    breach: 'the application importing the command line',
    file: 'src/app/command.ts',
    content: imports('../cli/helped.ts'),
  },
  {
    rule: 'known-folder',
    breach: 'a folder no rule knows',
    file: 'src/misc/thing.ts',
    content: imports('../retry/retry-policy.ts'),
  },
  ...[
    '../kafka/client.ts',
    '../config/load.ts',
    'node-rdkafka',
    '@clickhouse/client',
    'chdb',
    'uWebSockets.js',
  ].map((target) => ({
    rule: 'thread-reachability',
    breach: `the lane thread reaching ${target}`,
    file: 'src/lanes/thread.ts',
    content: imports(target),
    to: target.replace(/^\.\./, 'src'),
  })),
  ...Object.entries({
    'node-rdkafka': 'home-of-node-rdkafka',
    piscina: 'home-of-piscina',
    avsc: 'home-of-avsc',
    undici: 'home-of-undici',
    '@clickhouse/client': 'home-of-clickhouse',
    chdb: 'home-of-clickhouse',
    'chdb/connection': 'home-of-clickhouse',
    'uWebSockets.js': 'home-of-uWebSockets.js',
    'prom-client': 'home-of-prom-client',
    zod: 'home-of-zod',
    yaml: 'home-of-zod',
    commander: 'home-of-commander',
    'ipaddr.js': 'home-of-ipaddr.js',
  }).map(([name, rule]) => ({
    rule,
    breach: `${name} imported away from its home`,
    file: `src/route/${name.replaceAll(/\W/g, '-')}.ts`,
    content: imports(name),
  })),
];

/** What the plants refer to. */
const PROPS: Tree = {
  'src/decode/ring-b.ts': `import type { A } from './ring-a.ts';\nexport interface B { a: A }\n`,
  'src/cli/helped.ts': imports('commander'),
  'test/decode/only-tested.test.ts': imports('vitest', '../../src/decode/only-tested.ts'),
};

/** Writes a tree into a fresh folder, with this project's rules and packages, and returns what the rules say. */
async function violationsOf(trees: Tree[]): Promise<Violation[]> {
  const folder = mkdtempSync(path.join(tmpdir(), 'boundaries-'));
  try {
    for (const [file, content] of trees.flatMap((tree) => Object.entries(tree))) {
      mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
      writeFileSync(path.join(folder, file), content, { flag: 'a' });
    }
    for (const file of ['.dependency-cruiser.cjs', 'package.json', 'tsconfig.json']) {
      cpSync(path.join(ROOT, file), path.join(folder, file));
    }
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
    return await cruise(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function cruise(folder: string): Promise<Violation[]> {
  const options = { cwd: folder, maxBuffer: 64 * 1024 * 1024 };
  const args = [DEPCRUISE, 'src', 'test', '--output-type', 'json', '--no-progress'];
  // A cruise that finds something exits with the number of errors; its report is on stdout all the same.
  const { stdout } = await promisify(execFile)(process.execPath, args, options).catch(
    (error: unknown) => error as { stdout: string },
  );
  return (JSON.parse(stdout) as { summary: { violations: Violation[] } }).summary.violations;
}

describe('the import rules', () => {
  const plantTree: Tree = {};
  for (const { file, content } of PLANTS) plantTree[file] = (plantTree[file] ?? '') + content;
  let caught: Violation[];

  beforeAll(async () => {
    caught = await violationsOf([SOUND, plantTree, PROPS]);
  });

  test('a tree that keeps them passes', async () => {
    expect(await violationsOf([SOUND])).toEqual([]);
  });

  test.each(PLANTS)('$rule: $breach', ({ rule, file, to = '' }) => {
    const sameFile = caught.filter((violation) => violation.from === file);
    const found = sameFile.map((violation) => `${violation.rule.name} → ${violation.to}`);
    expect(found).toContainEqual(expect.stringMatching(new RegExp(`^${rule} → .*${to}`)));
  });

  test('every rule has a planted breach', () => {
    const { forbidden } = createRequire(import.meta.url)(path.join(ROOT, '.dependency-cruiser.cjs')) as {
      forbidden: { name: string }[];
    };
    expect(new Set(PLANTS.map((plant) => plant.rule))).toEqual(new Set(forbidden.map((rule) => rule.name)));
  });
});
