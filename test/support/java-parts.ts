import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { withFileLock } from './file-lock.ts';
import { runToEnd } from './process.ts';
import { cacheDirectory, supportFile } from './repository.ts';
import { temporaryDirectory } from './temp.ts';

/** A part that java/pom.xml pins in the profile of this name, and how its files get into an empty folder. */
interface JavaPart {
  readonly profile: string;
  readonly fill: (directory: string) => Promise<void>;
}

/** Whether something these tests need is there; if not, why, in one line. */
export type Availability =
  { readonly available: true } | { readonly available: false; readonly reason: string };

const KAFKA: JavaPart = { profile: 'kafka', fill: copyKafkaJars };
const REGISTRY: JavaPart = { profile: 'registry', fill: unpackRegistry };

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
  await part.fill(partial);
  await rm(directory, { recursive: true, force: true });
  await rename(partial, directory);
  await writeFile(markerFile(directory), pomHash);
}

function copyKafkaJars(directory: string): Promise<void> {
  return maven('kafka', 'dependency:copy-dependencies', `-DoutputDirectory=${directory}`);
}

/** Only Maven's `get` takes an artifact whose pom is broken, and it leaves it in a local repository, here a passing one. */
async function unpackRegistry(directory: string): Promise<void> {
  const repository = await temporaryDirectory('maven');
  try {
    await maven('registry', 'dependency:get', `-Dmaven.repo.local=${repository.path}`);
    const files = await readdir(path.join(repository.path, 'io/apicurio'), { recursive: true });
    const archive = files.find((file) => file.endsWith('.tar.gz'));
    if (archive === undefined) throw new Error('Maven downloaded no archive of the registry');
    const args = ['-xzf', path.join(repository.path, 'io/apicurio', archive), '-C', directory];
    await runToEnd({ name: 'tar', command: 'tar', args, timeoutMs: DOWNLOAD_TIMEOUT_MS });
  } finally {
    await repository.remove();
  }
}

async function maven(profile: string, goal: string, ...args: string[]): Promise<void> {
  await runToEnd({
    name: `mvn ${goal}`,
    command: 'mvn',
    args: ['-q', '-B', '-f', POM, `-P${profile}`, goal, ...args],
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
  });
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
