import type { Command } from 'commander';
import { Option } from 'commander';
import { systemClock } from '../../domain/clock.ts';
import { UserError } from '../../domain/errors.ts';
import type { NamedQuery } from '../../ledger/named-query.ts';
import type { CommandContext } from '../command-context.ts';
import { configOf, configOption } from '../config-option.ts';
import type { ConfigOptions } from '../config-option.ts';
import { ANSWER_FORMATS, answerText } from '../query/answer-text.ts';
import type { AnswerFormat } from '../query/answer-text.ts';
import { ask, openAnswering } from '../query/ask.ts';
import { boundValues, readParameter } from '../query/parameters.ts';
import { shippedQueries, shippedQuery } from '../query/shipped-queries.ts';

interface Options extends ConfigOptions {
  readonly param?: readonly string[];
  readonly format: AnswerFormat;
  readonly list?: true;
}

export function addQuery(program: Command, context: CommandContext): void {
  program
    .command('query')
    .description('Ask the ledger one of the questions that come with EventDispatch.')
    .argument('[name]', 'which one; --list shows all')
    .option('-p, --param <name=value>', 'a parameter of it; may be repeated', readParameter)
    .addOption(new Option('--format <format>', 'how to answer').choices(ANSWER_FORMATS).default('table'))
    .option('--list', 'show the questions and their parameters')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
Times are UTC: 2026-08-01, 2026-08-01T10:00Z, or how long ago: 30m, 2h, 7d. Each question is a file of
commented SQL in the folder queries/; its values are bound, never written into the SQL.

Examples:
  $ eventdispatch query --list
  $ eventdispatch query what-happened --param tenant=acme --param event=evt_01J9
  $ eventdispatch query worst-destinations --param since=2h --format csv > worst.csv
  $ eventdispatch query channels --format json | jq '.[].success_percent'`,
    )
    .action((name: string | undefined, options: Options) => query(name, options, context));
}

async function query(
  name: string | undefined,
  options: Options,
  { environment }: CommandContext,
): Promise<void> {
  if (options.list === true) {
    console.log(shippedQueries().map(listText).join('\n\n'));
    return;
  }
  if (name === undefined) throw new UserError(['query: which one? `eventdispatch query --list` shows all']);
  const named = shippedQuery(name);
  const values = boundValues(named, options.param ?? [], systemClock.wallMs());
  const ledger = await openAnswering(configOf(options, environment).clickhouse);
  try {
    const { columns, rows } = await ask(ledger, named, values);
    console.log(answerText(options.format, columns, rows));
  } finally {
    await ledger.close();
  }
}

function listText({ name, summary, parameters }: NamedQuery): string {
  const width = Math.max(...parameters.map((parameter) => parameter.name.length));
  const lines = parameters.map(({ name: own, meaning, defaultText }) => {
    const absent =
      defaultText === null ? 'required' : `default: ${defaultText === '' ? 'empty' : defaultText}`;
    return `    ${own.padEnd(width)}  ${meaning} (${absent})`;
  });
  return [name, `  ${summary}`, ...lines].join('\n');
}
