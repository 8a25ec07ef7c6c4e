/** Proves that the manifest has a line per event in the order of their acknowledgement, across its buffer's bounds. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { Manifest } from '../../../src/cli/produce/manifest.ts';
import { temporaryDirectory } from '../../support/temp.ts';

const sample = (number: number) => ({
  tenant: 'tenant-1',
  eventId: `event-${number}`,
  type: 'contact.created',
  key: Buffer.from(''),
  value: Buffer.from(''),
});

test('appends lines, also to a file that is there', async () => {
  const folder = await temporaryDirectory('manifest');
  const file = path.join(folder.path, 'sent.tsv');
  for (const start of [0, 3_000]) {
    const manifest = new Manifest(file);
    for (let number = start; number < start + 3_000; number++)
      manifest.add(sample(number), 2, number, 1_700_000_000_000);
    manifest.close();
  }
  const lines = readFileSync(file, 'utf8').split('\n');
  expect(lines.pop()).toBe('');
  expect(lines).toEqual(
    Array.from({ length: 6_000 }, (_, n) => `event-${n}\ttenant-1\tcontact.created\t2\t${n}\t1700000000000`),
  );
  await folder.remove();
});

test('a file that cannot be written is the user’s problem, in one line', () => {
  expect(() => new Manifest('/nowhere/sent.tsv')).toThrow(/^--manifest \/nowhere\/sent\.tsv: ENOENT/);
});
