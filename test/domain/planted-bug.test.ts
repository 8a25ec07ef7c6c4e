/** Proves that a planted bug which never ends is stopped: CI has hung on one, for as long as it was let. */
import { expect, test } from 'vitest';
import { variantOf } from './planted-bug.ts';

interface DelayTopic {
  delayTopicName(prefix: string, delayMs: number): string;
}

test.each([
  [
    'in a loop',
    'if (delayMs % unitMs === 0) return',
    'while (unitMs > 0) delayMs = unitMs; if (delayMs < 0) return',
  ],
  ['by calling itself', 'for (const [unit, unitMs]', 'for (;;) topicName(); for (const [unit, unitMs]'],
])(
  'a bug that goes on for ever %s is an error',
  async (_how, from, to) => {
    const helper = '\nfunction topicName() { return 1; }\nexport function delayTopicName';
    const { delayTopicName } = await variantOf<DelayTopic>(
      'domain/delay-topic.ts',
      [from, to],
      ['\nexport function delayTopicName', helper],
    );
    expect(() => delayTopicName('p', 1_000)).toThrow('it goes on for ever');
  },
  60_000,
);

test('a text that is not there is an error, and so is a file that is no part of it', async () => {
  await expect(variantOf('domain/delay-topic.ts', ['no such text', ''])).rejects.toThrow('has 0 ×');
  await expect(variantOf('domain/delay-topic.ts', ['x', '', 'domain/ids.ts'])).rejects.toThrow('not made of');
});
