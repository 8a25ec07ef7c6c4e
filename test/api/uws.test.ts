/** Proves that a machine without a binary of uWebSockets.js is told what to do, in one line. */
import { expect, test } from 'vitest';
import { loadUws } from '../../src/api/uws.ts';
import { UserError } from '../../src/domain/errors.ts';

test('it loads here', async () => {
  expect(typeof (await loadUws()).App).toBe('function');
});

test('a binary that cannot be loaded is a UserError with the way out and the cause', async () => {
  const load = (): Promise<never> =>
    Promise.reject(new Error('This version of uWS.js supports only …\n\nError: GLIBC_2.38 not found'));
  const error = await loadUws(load).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UserError);
  const { problems } = error as UserError;
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(
    /cannot load uWebSockets\.js on Node \d+.*Debian 12.*npm install.*http: off.*GLIBC_2\.38 not found/,
  );
  expect(problems[0]).not.toContain('\n');
});
