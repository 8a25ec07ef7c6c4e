/** A receiver fails the share it should, always the same attempts, and has every 2xx on record. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ReceiptsFile, Receptionist } from '../../src/demo/receipts.ts';
import { temporaryDirectory } from '../support/temp.ts';

const FLAKY = { delayMs: 0, failShare: 0.05 };
const IDS = Array.from({ length: 20_000 }, (_, n) => `dlv_${n}`);

function noteTo(receipts: string[]) {
  return { add: (destination: string, id: string) => void receipts.push(`${destination} ${id}`) };
}

test('about 5 % are refused, the same ones in every run', () => {
  const answers = (): boolean[] => {
    const receptionist = new Receptionist('billing', FLAKY, noteTo([]));
    return IDS.map((id) => receptionist.accepts(id));
  };
  const first = answers();
  const refused = first.filter((accepted) => !accepted).length;
  expect(refused / IDS.length).toBeGreaterThan(0.04);
  expect(refused / IDS.length).toBeLessThan(0.06);
  expect(answers()).toEqual(first);
});

test('a refused delivery is judged anew at its next attempt, and ends on record once', () => {
  const receipts: string[] = [];
  const receptionist = new Receptionist('billing', FLAKY, noteTo(receipts));
  let attempts = 0;
  for (const id of IDS) {
    do attempts++;
    while (!receptionist.accepts(id));
  }
  expect(receptionist.counts).toEqual({
    id: 'billing',
    accepted: IDS.length,
    refused: attempts - IDS.length,
  });
  expect(receipts).toEqual(IDS.map((id) => `billing ${id}`));
});

test('a receiver that is not flaky refuses nothing', () => {
  const receptionist = new Receptionist('crm', { delayMs: 0, failShare: 0 }, noteTo([]));
  expect(IDS.every((id) => receptionist.accepts(id))).toBe(true);
});

test('the file has a line per 2xx, all of them after a flush', async () => {
  const directory = await temporaryDirectory('receipts');
  const name = path.join(directory.path, 'receipts.tsv');
  const file = new ReceiptsFile(name);
  for (const id of IDS) file.add('crm', id);
  file.flush();
  expect(readFileSync(name, 'utf8')).toBe(IDS.map((id) => `crm\t${id}\n`).join(''));
  file.close();
  await directory.remove();
});
