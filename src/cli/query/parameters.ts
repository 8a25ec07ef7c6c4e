import { InvalidArgumentError } from 'commander';
import { messageOf, UserError } from '../../domain/errors.ts';
import type { NamedQuery, QueryParameter } from '../../ledger/named-query.ts';
import { readDeadOption } from '../dead/options.ts';

const NAME_AND_VALUE = /^(\w+)=(.*)$/s;
const MAX_UINT32 = 0xffff_ffff;

/** Gathers the uses of `--param`. @throws InvalidArgumentError for a text of another form. */
export function readParameter(text: string, before: readonly string[] = []): readonly string[] {
  if (!NAME_AND_VALUE.test(text)) throw new InvalidArgumentError('Allowed: NAME=VALUE, such as since=2h.');
  return [...before, text];
}

/**
 * The values to bind, defaults included.
 *
 * @param given `NAME=VALUE` each, as `readParameter` let them through.
 * @param nowMs what "ago" is counted from, Unix epoch milliseconds.
 * @throws UserError with every problem at once.
 */
export function boundValues(
  { name, parameters }: NamedQuery,
  given: readonly string[],
  nowMs: number,
): Record<string, string | number> {
  const problems: string[] = [];
  const texts = new Map<string, string>();
  for (const text of given) {
    const [, key = '', value = ''] = NAME_AND_VALUE.exec(text) ?? [];
    if (!parameters.some((parameter) => parameter.name === key)) {
      const allowed = parameters.map((parameter) => parameter.name).join(', ');
      problems.push(`--param ${key}: ${name} has no such parameter; allowed: ${allowed}`);
    } else if (texts.has(key)) problems.push(`--param ${key} is given twice`);
    texts.set(key, value);
  }
  const values: Record<string, string | number> = {};
  for (const parameter of parameters) {
    const text = texts.get(parameter.name) ?? parameter.defaultText;
    if (text === null) problems.push(`--param ${parameter.name}=… is missing: ${parameter.meaning}`);
    else {
      try {
        values[parameter.name] = valueOf(parameter, text, nowMs);
      } catch (error) {
        problems.push(`--param ${parameter.name}: "${text}" is not allowed; ${messageOf(error)}`);
      }
    }
  }
  if (problems.length > 0) throw new UserError(problems);
  return values;
}

/** @throws Error saying what is allowed. */
function valueOf({ kind }: QueryParameter, text: string, nowMs: number): string | number {
  switch (kind) {
    case 'text':
      return text;
    case 'count': {
      const count = /^\d{1,10}$/.test(text) ? Number(text) : -1;
      if (count < 0 || count > MAX_UINT32) throw new Error(`allowed: a whole number, 0 to ${MAX_UINT32}`);
      return count;
    }
    case 'moment':
      return secondOf(momentMs(text, nowMs));
  }
}

function momentMs(text: string, nowMs: number): number {
  try {
    const moment = readDeadOption.moment(text);
    return 'atMs' in moment ? moment.atMs : nowMs - moment.agoMs;
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new Error(error.message.replace(/^Allowed/, 'allowed').replace(/\.$/, ''), { cause: error });
  }
}

/** `2026-08-01 10:00:00` in UTC, the next whole second: up to now includes what was just written. */
function secondOf(epochMs: number): string {
  const iso = new Date(Math.ceil(Math.max(0, epochMs) / 1000) * 1000).toISOString();
  return iso.slice(0, 19).replace('T', ' ');
}
