import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { withFileLock } from './file-lock.ts';
import { runToEnd } from './process.ts';
import { cacheDirectory, supportFile } from './repository.ts';

/** A part that java/pom.xml pins: its profile there, and the goal that puts its files into a folder. */
interface JavaPart {
  readonly profile: string;
  readonly goal: string;
}

/** Whether something these tests need is there; if not, why, in one line. */
export type Availability =
  { readonly available: true } | { readonly available: false; readonly reason: string };

const KAFKA: JavaPart = { profile: 'kafka', goal: 'dependency:copy-dependencies' };
const REGISTRY: JavaPart = { profile: 'registry', goal: 'dependency:unpack' };

const POM = supportFile('java/pom.xml');
const DOWNLOAD_TIMEOUT_MS = 300_000;
const FIRST_JAVA = 17;

/** The folder with Kafka's jars, downloaded on first use. @throws Error naming what is missing. */
export function kafkaJars(): Promise<string> {
  return partDirectory(KAFKA);
}

/** The folder of the unpacked Apicurio Registry, downloaded on first use. @throws Error naming what is missing. */
export function registryDistribution(): Promise<string> {
  return partDirectory(REGISTRY);
}

/** Tries the action of getting a part, and tells in one line why it failed if it did. */
export async function availabilityOf(getPart: () => Promise<string>): Promise<Availability> {
  try {
    await getPart();
    return { available: true };
  } catch (error) {
    return { available: false, reason: inOneLine((error as Error).message) };
  }
}

/** The java command: of $JAVA_HOME where that is set, else of the path. */
export function javaCommand(): string {
  const home = process.env['JAVA_HOME'];
  return home ? path.join(home, 'bin', 'java') : 'java';
}

async function partDirectory(part: JavaPart): Promise<string> {
  await requireJava();
  const directory = path.join(cacheDirectory(), `java-${part.profile}`);
  const wanted = createHash('sha256')
    .update(await readFile(POM))
    .digest('hex');
  if (await isComplete(directory, wanted)) return directory;
  await withFileLock(`${directory}.lock`, DOWNLOAD_TIMEOUT_MS, async () => {
    if (!(await isComplete(directory, wanted))) await download(part, directory, wanted);
  });
  return directory;
}

async function requireJava(): Promise<void> {
  const output = await runToEnd({
    name: 'java -version',
    command: javaCommand(),
    args: ['-version'],
    timeoutMs: 20_000,
  }).catch(() => undefined);
  const version = Number(/version "(\d+)/.exec(output ?? '')?.[1]);
  if (output === undefined) throw new Error(`no Java ${FIRST_JAVA} found`);
  if (version < FIRST_JAVA) throw new Error(`Java ${FIRST_JAVA} needed, found ${version}`);
}

/** The marker is the last file written, and holds the pom's hash, so a changed version is downloaded again. */
async function isComplete(directory: string, pomHash: string): Promise<boolean> {
  return (await readFile(markerFile(directory), 'utf8').catch(() => '')) === pomHash;
}

function markerFile(directory: string): string {
  return path.join(directory, 'complete');
}

async function download(part: JavaPart, directory: string, pomHash: string): Promise<void> {
  await requireMaven();
  const partial = `${directory}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  await runToEnd({
    name: `mvn ${part.goal}`,
    command: 'mvn',
    args: ['-q', '-B', '-f', POM, `-P${part.profile}`, part.goal, `-DoutputDirectory=${partial}`],
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
  });
  await rm(directory, { recursive: true, force: true });
  await rename(partial, directory);
  await writeFile(markerFile(directory), pomHash);
}

/** The headline of an error, with Maven's first complaint where it has one. */
function inOneLine(message: string): string {
  const [headline = '', ...rest] = message.split('\n');
  const complaint = rest.map((line) => /\[ERROR\] (.+)/.exec(line)?.[1]).find((line) => line !== undefined);
  return complaint === undefined ? headline.replace(/:$/, '') : `${headline} ${complaint.slice(0, 300)}`;
}

async function requireMaven(): Promise<void> {
  await runToEnd({ name: 'mvn --version', command: 'mvn', args: ['--version'], timeoutMs: 30_000 }).catch(
    () => {
      throw new Error('no Maven found, which downloads the test parts once');
    },
  );
}
