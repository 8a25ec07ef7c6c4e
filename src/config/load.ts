import path from 'node:path';
import { UserError } from '../domain/errors.ts';
import { compile } from './compile.ts';
import type { Config } from './config.ts';
import { deepFreeze } from './deep-freeze.ts';
import { environmentSettings } from './environment.ts';
import type { Environment, EnvironmentSetting } from './environment.ts';
import { fieldAt } from './fields.ts';
import { isWithinPath, pathText, setAt, valueAt, withoutPaths } from './paths.ts';
import type { Path } from './paths.ts';
import { missingFields, schemaProblems, shown } from './problems.ts';
import type { Problem } from './problems.ts';
import { resolveReferences } from './references.ts';
import { settingsSchema } from './schema.ts';
import { withoutNulls } from './without-nulls.ts';
import { rememberWritten } from './written.ts';
import { readYamlFile } from './yaml-file.ts';
import type { YamlFile } from './yaml-file.ts';

export interface ConfigSource {
  /** Path of the YAML file; null when there is none and the environment says everything. */
  readonly file: string | null;
  readonly env: Environment;
}

const NO_FILE =
  'no configuration: give a file with --config FILE or EVENTDISPATCH_CONFIG; eventdispatch.example.yaml is one to start from';

/**
 * Reads the file, lays the environment over it, checks everything, and gives
 * the effective configuration, frozen.
 *
 * @throws UserError with every problem at once, one line each: where, key, value, what is allowed.
 */
export function loadConfig(source: ConfigSource): Config {
  const fromEnvironment = environmentSettings(source.env, settingsSchema);
  const setsDestinations = fromEnvironment.settings.some(({ path: [key] }) => key === 'destinations');
  if (source.file === null && !setsDestinations) throw new UserError([NO_FILE, ...fromEnvironment.problems]);
  const file = source.file === null ? null : readYamlFile(source.file);
  const folder = path.resolve(file === null ? '.' : path.dirname(file.name));

  const written = overlay(file?.raw ?? {}, fromEnvironment.settings);
  const references = resolveReferences(file?.raw ?? {}, source.env, folder);
  const resolved = overlay(references.value, fromEnvironment.settings);
  const overridden = fromEnvironment.settings.map((setting) => setting.path);
  const unresolved = references.problems
    .filter((problem) => !overridden.some((at) => isWithinPath(problem.path, at)))
    .map((problem) => ({ ...problem, showsValue: false }));

  const { config, problems } = check(resolved, folder, unresolved);
  const lines = describe(problems, written, file, fromEnvironment.settings);
  const all = [...fromEnvironment.problems, ...lines];
  if (all.length > 0 || config === null) throw new UserError(all);
  deepFreeze(config);
  rememberWritten(config, { written, resolved });
  return config;
}

function overlay(raw: unknown, settings: readonly EnvironmentSetting[]): Record<string, unknown> {
  const copy = structuredClone(raw) as Record<string, unknown>;
  for (const setting of settings) setAt(copy, setting.path, setting.value);
  return withoutNulls(copy, settingsSchema) as Record<string, unknown>;
}

/**
 * Checks as much as can be checked: what the schema refuses is set aside, so
 * that the relations among the rest are looked at in the same run.
 */
function check(
  raw: unknown,
  folder: string,
  unresolved: readonly Problem[],
): { config: Config | null; problems: readonly Problem[] } {
  const usable = withoutPaths(raw, unresolved.map(ownPath));
  const first = settingsSchema.safeParse(usable);
  const wrong = [...unresolved, ...(first.success ? [] : schemaProblems(first.error.issues, settingsSchema))];
  const problems = [...wrong, ...missingFields(raw, settingsSchema)];
  const settings = first.success ? first : settingsSchema.safeParse(withoutPaths(usable, wrong.map(ownPath)));
  if (!settings.success) return { config: null, problems };
  const report = (at: Path, text: string): void => {
    if (!wrong.some((problem) => isWithinPath(at, ownPath(problem)))) {
      problems.push({ path: at, text, showsValue: valueAt(raw, at) !== undefined });
    }
  };
  const config = compile(settings.data, folder, report);
  return { config, problems };
}

/** What is set aside for a problem: an item of a plain list goes with its list, as one value. */
function ownPath(problem: Problem): Path {
  const parent = problem.path.slice(0, -1);
  const isItem = typeof problem.path.at(-1) === 'number' && fieldAt(settingsSchema, parent)?.kind === 'leaf';
  return isItem ? parent : problem.path;
}

function describe(
  problems: readonly Problem[],
  written: unknown,
  file: YamlFile | null,
  settings: readonly EnvironmentSetting[],
): string[] {
  const placed = problems.map((problem) => {
    const setting = settings.find((candidate) => isWithinPath(problem.path, candidate.path));
    const line = setting === undefined ? (file?.lineOf(problem.path) ?? null) : null;
    return { text: lineFor(problem, written), where: whereOf(file, line, setting), line: line ?? 0 };
  });
  return placed.sort((a, b) => a.line - b.line).map(({ where, text }) => `${where}${text}`);
}

function whereOf(
  file: YamlFile | null,
  line: number | null,
  setting: EnvironmentSetting | undefined,
): string {
  if (setting !== undefined) return `${setting.variable} `;
  if (file === null) return '';
  return line === null ? `${file.name} ` : `${file.name}:${line} `;
}

function lineFor(problem: Problem, written: unknown): string {
  const { path: at } = problem;
  const value = problem.showsValue ? `${shown(valueAt(written, at), at, settingsSchema)} ` : '';
  return `${pathText(at)}: ${value}${problem.text}`;
}
