/** Proves that a topic has its own mapping or the default one, whatever it is called. */
import { expect, test } from 'vitest';
import { mappingOf, type FieldMapping } from '../../src/domain/event.ts';

const usual = { priority: null } as FieldMapping;
const own = { priority: { from: 'constant', value: 'high' } } as FieldMapping;

test.each([
  ['contacts', own],
  ['others', usual],
  // Every object has something of these names.
  ['constructor', usual],
  ['__proto__', usual],
])('topic %s', (topic, mapping) => {
  expect(mappingOf({ default: usual, byTopic: { contacts: own } }, topic)).toBe(mapping);
});
