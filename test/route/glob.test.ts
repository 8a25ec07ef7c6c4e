/**
 * Proves that globs match as a naive regular expression made of them does, and
 * that no glob a tenant can write takes more than pattern × type steps.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { globMatches } from '../../src/route/glob.ts';
import { variantOf } from '../domain/planted-bug.ts';

type Matches = typeof globMatches;

const escaped = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');

/** The meaning, spelt out: each segment's expression, and what `**` leaves between dots. */
function reference(glob: string, type: string): boolean {
  const segments = glob
    .split('.')
    .map((segment) => (segment === '**' ? null : segment.split('*').map(escaped).join('[^.]*')));
  const matchesFrom = (g: number, rest: readonly string[]): boolean => {
    if (g === segments.length) return rest.length === 0;
    const segment = segments[g];
    if (segment === null) {
      for (let skip = 0; skip <= rest.length; skip++) if (matchesFrom(g + 1, rest.slice(skip))) return true;
      return false;
    }
    return (
      rest.length > 0 && new RegExp(`^${segment}$`, 's').test(rest[0]!) && matchesFrom(g + 1, rest.slice(1))
    );
  };
  return matchesFrom(0, type.split('.'));
}

const segmentOf = (...characters: string[]): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...characters), maxLength: 4 });
const globSegment = fc.oneof(fc.constantFrom('*', '**', 'a*', '*b'), segmentOf('a', 'b', '*', '+', '['));
const glob = fc.array(globSegment, { maxLength: 5 }).map((segments) => segments.join('.'));
const type = fc.array(segmentOf('a', 'b', '+', '['), { maxLength: 5 }).map((segments) => segments.join('.'));

function agreement(matches: Matches): fc.IProperty<[string, string]> {
  return fc.property(glob, type, (pattern, name) => {
    expect(matches(pattern, name), `${pattern} ~ ${name}`).toBe(reference(pattern, name));
  });
}

describe('against the reference', () => {
  test('for any glob and any type', () => {
    fc.assert(agreement(globMatches), { numRuns: 5_000 });
  });

  test.each([
    ['a star never gives back what it took', 'p = star + 1;\n      s = ++mark;', 'return false;'],
    ['** is one segment at least', 'starType = t;', 'starType = ++t;'],
    ['what the pattern still asks for is not looked at', 'return p === pattern.length;', 'return true;'],
  ])('a planted bug is caught: %s', async (_what, from, to) => {
    const { globMatches: buggy } = await variantOf<{ globMatches: Matches }>('route/glob.ts', [from, to]);
    expect(fc.check(agreement(buggy), { seed: 1, numRuns: 5_000 }).failed).toBe(true);
  });
});

test.each([
  ['**', 'contact.created', true],
  ['**', 'x', true],
  ['*', 'contact', true],
  ['*', 'contact.created', false],
  ['contact.*', 'contact.created', true],
  ['contact.*', 'contact', false],
  ['contact.*', 'contact.a.b', false],
  ['email.open*', 'email.opened', true],
  ['crm.**', 'crm', true],
  ['crm.**', 'crm.a.b.c', true],
  ['crm.**', 'crmx', false],
  ['**.created', 'a.b.created', true],
  ['**.created', 'created', true],
  ['a.**.z', 'a.z', true],
  ['a.**.z', 'a.b.z.y', false],
  ['Contact.*', 'contact.created', false],
  ['a.b', 'axb', false],
  ['', 'a', false],
])('%s and %s: %s', (pattern, name, expected) => {
  expect(globMatches(pattern, name)).toBe(expected);
});

describe('a hostile glob ends at once', () => {
  // A naive expression of each takes longer than the universe; these take at most some million steps.
  const stars = `${'*a'.repeat(200)}*b`;
  const deep = `${'**.a.'.repeat(100)}b`;
  test.each([
    ['stars in one segment', stars, 'a'.repeat(2_000)],
    ['double stars', deep, `${'a.'.repeat(500)}c`],
    ['both', `${'**.*a*a*.'.repeat(60)}b`, `${'aaaa.'.repeat(300)}c`],
    ['nothing but stars', '*'.repeat(5_000), 'a'.repeat(500)],
  ])('%s', (_what, pattern, name) => {
    const started = performance.now();
    globMatches(pattern, name);
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});
