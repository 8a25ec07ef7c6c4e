import { readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import type { FairInbox } from '../../src/schedule/fair-inbox.ts';

const ROOM = path.resolve(import.meta.dirname, '../../src/schedule');

export type InboxClass = typeof FairInbox;

/** A text that occurs once in a file of the room, and what stands there instead. */
export interface Change {
  readonly file: 'entry-store.ts' | 'tenant-queue.ts' | 'fair-inbox.ts';
  readonly from: string;
  readonly to: string;
}

/**
 * The inbox with a bug planted in it or in what it is made of: `variantOf` over
 * several files, since one in memory can't import the others by their paths.
 *
 * @throws Error when the text does not occur exactly once.
 */
export async function inboxVariant(change: Change): Promise<InboxClass> {
  const module = (await import(/* @vite-ignore */ urlOf('fair-inbox.ts', change))) as {
    FairInbox: InboxClass;
  };
  return module.FairInbox;
}

function urlOf(file: string, change: Change): string {
  let text = readFileSync(path.join(ROOM, file), 'utf8');
  if (file === change.file) {
    const parts = text.split(change.from);
    if (parts.length !== 2)
      throw new Error(`${file} has ${parts.length - 1} × ${JSON.stringify(change.from)}, not 1`);
    text = parts.join(change.to);
  }
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: {
      module: ts.ModuleKind.ESNext,
      target: ts.ScriptTarget.ES2022,
      verbatimModuleSyntax: true,
    },
  });
  const linked = outputText.replaceAll(
    /from '\.\/([\w-]+\.ts)'/g,
    (_, imported: string) => `from '${urlOf(imported, change)}'`,
  );
  return `data:text/javascript;base64,${Buffer.from(linked).toString('base64')}`;
}
