import { readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const SRC = path.resolve(import.meta.dirname, '../../src');

/**
 * CPU time that a variant may use before it awaits anything. A planted bug may well never
 * end, with some seeds; then no timeout of a test can stop it, since it never gives its
 * thread back. Past this it throws, which is a bug that is caught.
 */
const MOST_CPU_MS = 3_000;
/** The same for one that awaits, and never anything but itself: more than a sound test takes. */
const MOST_CPU_IN_ALL_MS = 300_000;
/** Calls and rounds of loops between two looks at the time. */
const TURNS_A_LOOK = 1_000;

/** A text that occurs once in a file, what stands there instead, and the file below src/ if it is another. */
export type Change = readonly [from: string, to: string, file?: string];

/**
 * Loads a copy of a source file, and of what it imports, with some of the text
 * replaced: a variant with a planted bug, or one that starts where a test could not
 * get in time. A property that passes on such a bug proves nothing. Whether it fails is asked with a fixed seed, so
 * that it is a fact and no matter of luck.
 *
 * @param file path below src/; neither it nor what it imports may import a package.
 * @throws Error when a text does not occur exactly once, so that a variant can't silently become the original.
 */
export async function variantOf<Module>(file: string, ...changes: readonly Change[]): Promise<Module> {
  const made = new Set<Change>();
  const url = urlOf(file, (name, text) => {
    for (const change of changes) {
      const [from, to, changed = file] = change;
      if (changed !== name) continue;
      text = replaced(name, text, from, to);
      made.add(change);
    }
    return text;
  });
  const missed = changes.find((change) => !made.has(change));
  if (missed !== undefined) throw new Error(`${file} is not made of ${missed[2]}`);
  return (await import(/* @vite-ignore */ url)) as Module;
}

function replaced(file: string, text: string, from: string, to: string): string {
  const parts = text.split(from);
  if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} × ${JSON.stringify(from)}, not 1`);
  return parts.join(to);
}

/** A module in memory can't import others by their paths, so each carries those that it imports. */
function urlOf(file: string, change: (file: string, text: string) => string): string {
  const text = change(file, readFileSync(path.join(SRC, file), 'utf8'));
  const linked = transpiled(text).replaceAll(
    /from '(\.[^']+\.ts)'/g,
    (_, imported: string) => `from '${urlOf(path.join(path.dirname(file), imported), change)}'`,
  );
  return `data:text/javascript;base64,${Buffer.from(linked).toString('base64')}`;
}

function transpiled(text: string): string {
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: {
      module: ts.ModuleKind.ESNext,
      target: ts.ScriptTarget.ES2022,
      verbatimModuleSyntax: true,
    },
    transformers: { after: [countTurns] },
  });
  // First, since a module may call its own functions while it loads.
  return `let turns = 0;
let startedMicros = 0;
let firstMicros = 0;
${outputText}
function countTurn() {
  if (++turns < ${TURNS_A_LOOK}) return;
  const { user, system } = process.cpuUsage();
  const micros = user + system;
  firstMicros ||= micros;
  if (startedMicros === 0) {
    startedMicros = micros;
    Promise.resolve().then(() => { startedMicros = 0; });
  }
  if (micros - startedMicros > ${MOST_CPU_MS * 1000} || micros - firstMicros > ${MOST_CPU_IN_ALL_MS * 1000})
    throw new Error('it goes on for ever');
  turns = 0;
}
`;
}

/** Each function and each round of a loop begins with `countTurn()`. */
function countTurns(context: ts.TransformationContext): ts.Transformer<ts.SourceFile> {
  const { factory } = context;
  const counting = (): ts.Statement =>
    factory.createExpressionStatement(
      factory.createCallExpression(factory.createIdentifier('countTurn'), undefined, []),
    );
  const counted = (block: ts.Statement): ts.Block =>
    factory.createBlock([counting(), ...(ts.isBlock(block) ? block.statements : [block])], true);
  const visit = (node: ts.Node): ts.Node => {
    const seen = ts.visitEachChild(node, visit, context);
    if (ts.isForStatement(seen))
      return factory.updateForStatement(
        seen,
        seen.initializer,
        seen.condition,
        seen.incrementor,
        counted(seen.statement),
      );
    if (ts.isForOfStatement(seen))
      return factory.updateForOfStatement(
        seen,
        seen.awaitModifier,
        seen.initializer,
        seen.expression,
        counted(seen.statement),
      );
    if (ts.isWhileStatement(seen))
      return factory.updateWhileStatement(seen, seen.expression, counted(seen.statement));
    if (ts.isDoStatement(seen))
      return factory.updateDoStatement(seen, counted(seen.statement), seen.expression);
    if (ts.isMethodDeclaration(seen) && seen.body !== undefined)
      return factory.updateMethodDeclaration(
        seen,
        seen.modifiers,
        seen.asteriskToken,
        seen.name,
        seen.questionToken,
        seen.typeParameters,
        seen.parameters,
        seen.type,
        counted(seen.body),
      );
    if (ts.isFunctionDeclaration(seen) && seen.body !== undefined)
      return factory.updateFunctionDeclaration(
        seen,
        seen.modifiers,
        seen.asteriskToken,
        seen.name,
        seen.typeParameters,
        seen.parameters,
        seen.type,
        counted(seen.body),
      );
    return seen;
  };
  return (file) => ts.visitEachChild(file, visit, context);
}
