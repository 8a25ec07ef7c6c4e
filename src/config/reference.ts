import type { z } from 'zod';
import { variableName } from './environment.ts';
import { infoOf } from './fields.ts';
import type { FieldInfo, SectionInfo } from './fields.ts';
import { settingsSchema } from './schema.ts';

const HEAD = `# Configuration

<!-- Generated from src/config/schema.ts: \`node bin/eventdispatch.cjs check-config --reference > docs/configuration.md\` writes it again. -->

One YAML file, given with \`--config FILE\` or \`EVENTDISPATCH_CONFIG\`, and environment variables over it.
\`eventdispatch.example.yaml\` is one to start from; \`eventdispatch check-config\` prints what yours comes to, secrets
masked, or everything that is wrong with it at once.

- **Durations** have a unit: \`500ms\`, \`10s\`, \`5m\`, \`1h\`, \`1d\`. **Sizes** too, in steps of 1024: \`256b\`, \`64kb\`,
  \`16mb\`, \`1gb\`. **Rates** have a time: \`100/s\`, \`6000/m\`, \`10/h\`. A bare number is refused. **Shares** are a
  percentage or a part of one: \`50%\`, \`0.5\`.
- **Environment variables** override the file: \`EVENTDISPATCH_\`, then the keys, levels joined by two underscores, words
  by one. \`EVENTDISPATCH_KAFKA__GROUP_ID\` sets \`kafka.groupId\`. A list is separated by commas or is a YAML list; a map
  and a list of maps (\`EVENTDISPATCH_DESTINATIONS\`) are YAML. An empty variable counts as not set, an unknown one is an
  error. Values are taken literally.
- **References** in text values of the file keep secrets out of it: \`\${env:NAME}\` is a variable, \`\${file:/path}\` a
  file's text without its last line break, \`$\${\` a literal \`\${\`. Inside \`{ … }\` and \`[ … ]\` they need quotes.
- **Relative paths** start at the folder of the file, or where the program was started if there is none.
- A key with nothing after it counts as absent. \`check-config\` shows a value that has a reference as it was written.

Not to be set among librdkafka's properties, because EventDispatch depends on them: brokers, group id, group protocol
and assignor, offset storing and committing, \`acks\`, callbacks. What librdkafka itself refuses is found at the start.
`;

/** The text of docs/configuration.md. */
export function configurationReference(): string {
  return [HEAD, ...sections(settingsSchema, []), ''].join('\n');
}

function sections(schema: z.ZodType, path: readonly string[]): string[] {
  const info = infoOf(schema);
  if (info.kind === 'leaf') return [];
  const section = sectionIn(info);
  const children = Object.entries(section.shape);
  const own = path.length === 0 ? [] : [heading(path, info, section), ...table(children, path)];
  return [...own, ...children.flatMap(([key, child]) => sections(child, [...path, step(key, child)]))];
}

/** The section itself, or what a list or map is made of. */
function sectionIn(info: Exclude<FieldInfo, { kind: 'leaf' }>): SectionInfo {
  if (info.kind === 'section') return info;
  const element = infoOf(info.element);
  if (element.kind !== 'section') throw new Error('a list or map of something else than sections');
  return element;
}

function step(key: string, child: z.ZodType): string {
  const { kind } = infoOf(child);
  if (kind === 'list') return `${key}[]`;
  return kind === 'map' ? `${key}.NAME` : key;
}

function heading(path: readonly string[], info: FieldInfo, section: SectionInfo): string {
  const word = section.word === null ? '' : ` \`${section.word}\` in its place switches it off.`;
  const absent = section.defaultText === null ? '' : ` Default: ${code(section.defaultText)}.`;
  return `\n## \`${path.join('.')}\`\n\n${info.description}${word}${absent}`;
}

function table(children: readonly (readonly [string, z.ZodType])[], path: readonly string[]): string[] {
  const rows = children.flatMap(([key, child]) => row(key, infoOf(child), path));
  return rows.length === 0 ? [] : ['', '| key | meaning | allowed | default |', '|---|---|---|---|', ...rows];
}

function row(key: string, info: FieldInfo, path: readonly string[]): string[] {
  if (info.kind !== 'leaf') return [];
  const hasVariable = path.every((name) => /^\w+$/.test(name));
  const variable = hasVariable ? `<br>\`${variableName([...path, key])}\`` : '';
  const absent = info.isRequired ? 'required' : info.defaultText === null ? '' : code(info.defaultText);
  return [`| \`${key}\` | ${cell(info.description)}${variable} | ${cell(info.allowed)} | ${absent} |`];
}

/** Defaults in words stay words. */
function code(text: string): string {
  if (text === '') return 'empty';
  return text.includes(' ') ? cell(text) : `\`${text.replaceAll('|', '\\|')}\``;
}

/** A bar would end the cell; a star means something outside of code. */
function cell(text: string): string {
  const parts = text.replaceAll('|', '\\|').split('`');
  return parts.map((part, index) => (index % 2 === 0 ? part.replaceAll('*', '\\*') : part)).join('`');
}
