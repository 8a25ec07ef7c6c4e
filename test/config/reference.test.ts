/** Proves that docs/configuration.md says what the schema says. */
import { expect, test } from 'vitest';
import { configurationReference } from '../../src/config/reference.ts';

test('docs/configuration.md is up to date', async () => {
  await expect(configurationReference()).toMatchFileSnapshot('../../docs/configuration.md');
});
