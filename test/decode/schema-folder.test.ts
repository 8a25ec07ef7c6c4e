import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readSchemaFolder } from '../../src/decode/schema-folder.ts';
import { UserError } from '../../src/domain/errors.ts';
import { limits } from '../../src/domain/limits.ts';

/* Proves that a folder of schemas is read whole or refused with every problem named. */

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'schema-folder-'));
  mkdirSync(join(folder, 'sub'));
  writeFileSync(join(folder, 'good.avsc'), '{"type":"record","name":"Good","fields":[]}');
  writeFileSync(join(folder, 'sub', 'other.avsc'), '{"type":"record","name":"Other","fields":[]}');
  writeFileSync(join(folder, 'broken.avsc'), '{"type":"record"');
  writeFileSync(join(folder, 'nameless.avsc'), '{"type":"record","fields":[]}');
  writeFileSync(join(folder, 'huge.avsc'), ' '.repeat(limits.schemaMaxBytes + 1));
  writeFileSync(
    join(folder, 'bad-default.avsc'),
    '{"type":"record","name":"D","fields":[{"name":"f","type":"int","default":"x"}]}',
  );
});

afterEach(() => rmSync(folder, { recursive: true }));

function problemsOf(index: unknown): readonly string[] {
  writeFileSync(join(folder, 'index.json'), typeof index === 'string' ? index : JSON.stringify(index));
  try {
    readSchemaFolder(folder);
    return [];
  } catch (error) {
    if (error instanceof UserError) return error.problems;
    throw error;
  }
}

const entry = (changes: Readonly<Record<string, unknown>>): unknown => ({
  id: 1,
  file: 'good.avsc',
  subject: 'good-value',
  version: 1,
  ...changes,
});

it('reads what the index names', () => {
  expect(problemsOf({ schemas: [entry({}), entry({ id: 2, file: 'sub/other.avsc' })] })).toEqual([]);
  const schemas = readSchemaFolder(folder);
  expect([...schemas.keys()]).toEqual([1, 2]);
  expect(schemas.get(1)).toMatchObject({ id: 1, subject: 'good-value', version: 1 });
  expect(schemas.get(2)!.text).toContain('Other');
});

it('names every problem at once, each with its place', () => {
  const problems = problemsOf({
    schemas: [
      entry({}),
      entry({ id: -1 }),
      entry({ id: 2 ** 32 }),
      entry({ id: 2, file: 'none.avsc' }),
      entry({ id: 3, file: '../good.avsc' }),
      entry({ id: 4, file: '/etc/passwd' }),
      entry({ id: 5, file: 'broken.avsc' }),
      entry({ id: 6, file: 'nameless.avsc' }),
      entry({ id: 7, file: 'huge.avsc' }),
      entry({ id: 8, file: 'bad-default.avsc' }),
      entry({ id: 9, subject: 5 }),
      entry({ id: 10, version: 'one' }),
      entry({}),
      null,
    ],
  });
  const expected = [
    /schemas\[1\]: id/,
    /schemas\[2\]: id/,
    /schemas\[3\]: .*ENOENT/,
    /schemas\[4\]: file must be a path inside/,
    /schemas\[5\]: file must be a path inside/,
    /schemas\[6\]: broken.avsc: .*not JSON/,
    /schemas\[7\]: nameless.avsc: .*invalid name/,
    /schemas\[8\]: longer than/,
    /schemas\[9\]: bad-default.avsc: .*default/,
    /schemas\[10\]: subject/,
    /schemas\[11\]: version/,
    /schemas\[12\]: the id 1 is used twice/,
    /schemas\[13\]: id/,
  ];
  expect(problems).toHaveLength(expected.length);
  for (const [i, pattern] of expected.entries()) expect(problems[i]).toMatch(pattern);
});

it.each([['{'], ['[]'], ['null'], ['{"schemas":{}}']])('refuses the index %s in one line', (index) => {
  const problems = problemsOf(index);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain('index.json');
});

it('refuses a folder without an index, and one that is not there', () => {
  expect(() => readSchemaFolder(folder)).toThrow(UserError);
  expect(() => readSchemaFolder(join(folder, 'nowhere'))).toThrow(UserError);
});
