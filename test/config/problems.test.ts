/** Proves that every mistake in a configuration is named in one line: where, key, value, what is allowed. */
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { UserError } from '../../src/domain/errors.ts';
import { MINIMAL, problemsOf } from './support.ts';
import { cases } from './problem-cases.ts';

describe('a mistake in the file', () => {
  test.each(cases)('$mistake', ({ yaml, says }) => {
    expect(problemsOf(yaml)).toEqual([says]);
  });

  test('a missing secret file', () => {
    const [problem, ...others] = problemsOf(`${MINIMAL}clickhouse:\n  password: \${file:secret.txt}\n`);
    expect(problem).toMatch(
      /^eventdispatch\.yaml:4 clickhouse\.password: needs the file secret\.txt, which cannot be read: ENOENT/,
    );
    expect(others).toEqual([]);
  });

  test('YAML that is none, with its line', () => {
    expect(problemsOf('kafka:\n  topics: [a\nlog: {}\n')[0]).toMatch(
      /^eventdispatch\.yaml:3 not valid YAML: /,
    );
    expect(problemsOf('a: 1\na: 2\n')).toEqual([
      expect.stringMatching(/^eventdispatch\.yaml:2 not valid YAML: Map keys must be unique/),
    ]);
    expect(problemsOf('just text\n')).toEqual([
      'eventdispatch.yaml:1 must be a map of keys such as kafka: and destinations:',
    ]);
  });

  test('all of them at once, in the order of the file', () => {
    const yaml = [
      'kafka:',
      '  brokers: nowhere',
      '  topics: [dead]',
      '  deadLetterTopic: dead',
      '  grupId: x',
      'clickhouse:',
      '  password: ${env:NOT_SET}',
      '  requestTimeout: 30',
      'destinations:',
      '  - { id: a, tenant: t, url: "ftp://x" }',
      '  - 5',
      '  - { id: a, tenant: t, url: "http://10.1.2.3/", timeout: 5 }',
      'http: { port: -1 }',
    ].join('\n');
    expect(problemsOf(yaml).map((line) => line.split(': ')[0])).toEqual([
      'eventdispatch.yaml:2 kafka.brokers',
      'eventdispatch.yaml:4 kafka.deadLetterTopic',
      'eventdispatch.yaml:5 kafka.grupId',
      'eventdispatch.yaml:7 clickhouse.password',
      'eventdispatch.yaml:8 clickhouse.requestTimeout',
      'eventdispatch.yaml:10 destinations[0].url',
      'eventdispatch.yaml:11 destinations[1]',
      'eventdispatch.yaml:12 destinations[2].timeout',
      'eventdispatch.yaml:12 destinations[2].id',
      'eventdispatch.yaml:12 destinations[2].url',
      'eventdispatch.yaml:13 http.port',
    ]);
  });

  test('no problem shows a secret', () => {
    const yaml = [
      'clickhouse: { url: "http://u:hunter2@ch:8123?key=hunter2", password: [hunter2] }',
      'kafka: { properties: { sasl.password: { a: hunter2 }, group.id: hunter2x, ssl.key.password: [hunter2] } }',
      'schemas: { registry: "https://u:hunter2@registry" }',
      'destinations:',
      '  - { id: a, tenant: t, url: "u:hunter2@hooks.example/x", headers: { host: hunter2, x: "hunter2\\n" } }',
      '  - { id: b, tenant: t, url: "ftp://h/?token=hunter2", headers: [hunter2], retry: hunter2 }',
      '  - { id: c, tenant: t, url: "ftp://${env:TOKEN}/" }',
    ].join('\n');
    const problems = problemsOf(yaml, { TOKEN: 'hunter2' });
    expect(problems.length).toBeGreaterThanOrEqual(10);
    const leaks = problems.filter((line) => line.includes('hunter2'));
    expect(leaks).toEqual([
      // Not secret by their names, so shown.
      expect.stringContaining('kafka.properties.group.id: "hunter2x"'),
      expect.stringContaining('destinations[1].retry: "hunter2"'),
    ]);
    expect(problems.find((line) => line.includes('destinations[2]'))).toContain('"ftp://${env:TOKEN}/"');
  });
});

describe('no configuration', () => {
  const lines = (file: string | null): readonly string[] => {
    try {
      loadConfig({ file, env: {} });
      return [];
    } catch (error) {
      return error instanceof UserError ? error.problems : [];
    }
  };

  test('a file that is not there is one line', () => {
    expect(lines('/nowhere/x.yaml')).toEqual([
      '/nowhere/x.yaml: no such file; give the configuration with --config FILE (eventdispatch.example.yaml is one to start from)',
    ]);
  });

  test('no file at all says how to get one', () => {
    expect(lines(null)).toEqual([
      'no configuration: give a file with --config FILE or EVENTDISPATCH_CONFIG; eventdispatch.example.yaml is one to start from',
    ]);
  });
});
