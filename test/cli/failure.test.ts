/** Proves what is said about whatever a command throws, and the exit code that goes with it. */
import { CommanderError } from 'commander';
import { expect, test } from 'vitest';
import { failureOf } from '../../src/cli/failure.ts';
import { UserError } from '../../src/domain/errors.ts';

test('the user’s own mistakes: a line each, no stack, exit code 2', () => {
  expect(failureOf(new UserError(['a: wrong', 'b: wrong too']), true)).toEqual({
    lines: ['error: a: wrong', 'error: b: wrong too'],
    exitCode: 2,
  });
});

test('anything else: one line and where the stack is, exit code 1', () => {
  expect(failureOf(new Error('it\n  broke'), false)).toEqual({
    lines: ['error: it broke (EVENTDISPATCH_DEBUG=1 shows the stack)'],
    exitCode: 1,
  });
  expect(failureOf('thrown text', false).lines[0]).toMatch(/^error: thrown text/);
});

test('with the stack where it is asked for', () => {
  const { lines, exitCode } = failureOf(new Error('it broke'), true);
  expect(lines[0]).toMatch(/^error: Error: it broke\n\s+at /);
  expect(exitCode).toBe(1);
});

test('commander has said it already: help is no failure, a wrong option is one of usage', () => {
  expect(failureOf(new CommanderError(0, 'commander.helpDisplayed', ''), false)).toEqual({
    lines: [],
    exitCode: 0,
  });
  expect(failureOf(new CommanderError(1, 'commander.unknownOption', ''), false)).toEqual({
    lines: [],
    exitCode: 2,
  });
});
