/** Guards that a record's trace is read off its packed headers, and that nothing else is ever taken for one. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { packHeaders } from '../../src/domain/packed-headers.ts';
import type { RecordHeader } from '../../src/domain/record.ts';
import { traceIdOf } from '../../src/lanes/trace-id.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = `00-${TRACE}-00f067aa0ba902b7-01`;

const headersOf = (...headers: [string, string][]): Buffer =>
  packHeaders(headers.map(([name, value]): RecordHeader => [name, Buffer.from(value)]));

test.each<[string, string, string]>([
  ['of the first version', PARENT, TRACE],
  ['of a later version that says more', `cc-${TRACE}-00f067aa0ba902b7-01-what-the-future-says`, TRACE],
  ['that is empty', '', ''],
  ['of the version that is none', `ff-${TRACE}-00f067aa0ba902b7-01`, ''],
  ['in capitals', PARENT.toUpperCase(), ''],
  ['with a trace of zeros', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, ''],
  ['with a parent of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`, ''],
  ['cut short', PARENT.slice(0, -1), ''],
  ['with something before it', ` ${PARENT}`, ''],
  ['with something after it', `${PARENT}x`, ''],
  ['longer than any', `${PARENT}-${'x'.repeat(100)}`, ''],
  ['with a tab', `00-${TRACE}\t-00f067aa0ba902b7-01`, ''],
])('a traceparent %s', (_what, value, traceId) => {
  expect(traceIdOf(headersOf(['traceparent', value]))).toBe(traceId);
});

test('there is none without headers, or without that header', () => {
  expect(traceIdOf(null)).toBe('');
  expect(traceIdOf(Buffer.alloc(0))).toBe('');
  expect(traceIdOf(headersOf(['tracestate', PARENT], ['traceparen_', PARENT], ['Traceparent', PARENT]))).toBe(
    '',
  );
});

test('it is found among any other headers, and the first one counts', () => {
  const other = fc.tuple(
    fc.string().filter((name) => name !== 'traceparent'),
    fc.oneof(fc.string(), fc.constant(PARENT.replaceAll('4', '5'))),
  );
  fc.assert(
    fc.property(fc.array(other), fc.array(other), (before, after) => {
      const packed = headersOf(...before, ['traceparent', PARENT], ...after, ['traceparent', 'second']);
      expect(traceIdOf(packed)).toBe(TRACE);
    }),
  );
});
