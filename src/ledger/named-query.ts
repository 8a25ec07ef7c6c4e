/**
 * The form of the files in `queries/`: comment lines, then one SELECT.
 *
 *   -- What it tells, in one line.
 *   --
 *   -- More about it, if need be.
 *   --
 *   -- @since (1d) what the parameter means; its default in brackets
 *   -- @tenant a parameter without brackets has to be given
 *   SELECT … WHERE attempted_at >= {since:DateTime('UTC')} AND tenant = {tenant:String}
 */

/** What a parameter may be; a moment is a time, or how long ago. */
export type ParameterKind = 'text' | 'moment' | 'count';

export interface QueryParameter {
  readonly name: string;
  readonly kind: ParameterKind;
  /** As one would write it; null where it has to be given. */
  readonly defaultText: string | null;
  readonly meaning: string;
}

export interface NamedQuery {
  readonly name: string;
  readonly summary: string;
  readonly parameters: readonly QueryParameter[];
  readonly sql: string;
}

const KINDS: Readonly<Record<string, ParameterKind>> = {
  String: 'text',
  "DateTime('UTC')": 'moment',
  UInt32: 'count',
};

const COMMENT = /^--(?: (.*))?$/;
const PARAMETER = /^@(\w+) (?:\(([^)]*)\) )?(\S.*)$/;
const PLACEHOLDER = /\{(\w+):([^}]+)\}/g;

/** @throws Error for a file of another form: a mistake in it. */
export function parseNamedQuery(name: string, text: string): NamedQuery {
  const lines = text.split('\n');
  const end = lines.findIndex((line) => !COMMENT.test(line));
  const comments = lines.slice(0, end).map((line) => COMMENT.exec(line)?.[1] ?? '');
  const sql = lines.slice(end).join('\n').trim();
  const kinds = kindsIn(name, sql);
  const parameters = comments
    .filter((line) => line.startsWith('@'))
    .map((line) => parameterOf(name, line, kinds));
  const unknown = [...kinds.keys()].find((own) => !parameters.some((parameter) => parameter.name === own));
  if (unknown !== undefined) throw new Error(`queries/${name}.sql does not say what {${unknown}} means`);
  return { name, summary: comments[0] ?? '', parameters, sql };
}

function kindsIn(name: string, sql: string): Map<string, ParameterKind> {
  const kinds = new Map<string, ParameterKind>();
  for (const [, parameter = '', type = ''] of sql.matchAll(PLACEHOLDER)) {
    const kind = KINDS[type];
    const before = kinds.get(parameter) ?? kind;
    if (kind === undefined || before !== kind)
      throw new Error(`queries/${name}.sql: the type ${type} of {${parameter}} is not understood`);
    kinds.set(parameter, kind);
  }
  return kinds;
}

function parameterOf(query: string, line: string, kinds: ReadonlyMap<string, ParameterKind>): QueryParameter {
  const [, name = '', defaultText, meaning = ''] = PARAMETER.exec(line) ?? [];
  const kind = kinds.get(name);
  if (kind === undefined) throw new Error(`queries/${query}.sql does not use what it says in "${line}"`);
  return { name, kind, defaultText: defaultText ?? null, meaning };
}
