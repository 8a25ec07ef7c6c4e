import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';

/** How a process ended: exactly one of the two is set. */
export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ChildOptions {
  /** Name for error messages. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Told each line of stdout and stderr, also those that output() keeps no longer. */
  readonly onLine?: (line: string) => void;
}

export interface ReadyChildOptions extends ChildOptions {
  /** The child counts as started when a line of its output matches. */
  readonly ready: RegExp;
  /** 15 s by default. */
  readonly readyTimeoutMs?: number;
}

/**
 * A running child process. It ends with this one: its stdin is a pipe that then closes (our own children exit on
 * that), on Linux the kernel kills it too, and a normal exit of this process kills it first.
 */
export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly exited: Promise<ExitStatus>;
  isRunning(): boolean;
  /** The last 2,000 lines of stdout and stderr, in the order of arrival. */
  output(): string;
  /** Waits for a line (also one already seen) that matches. @throws Error when the child ends or the time is over. */
  waitForLine(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray>;
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, and SIGKILL when it still runs after the deadline (10 s by default). */
  stop(deadlineMs?: number): Promise<ExitStatus>;
  /** SIGKILL, at once. */
  kill(): Promise<ExitStatus>;
  /** SIGSTOP. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
}

const MAX_LINES = 2_000;
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a process and does not wait for anything but its pid. @throws Error when the command can't be started. */
export async function spawnChild(options: ChildOptions): Promise<Child> {
  const [command, args] = dyingWithParent(options.command, options.args);
  const child = spawn(command, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => {
      reject(new Error(`${options.name} could not be started: ${error.message}`));
    });
  });
  return new SpawnedChild(options.name, child, options.onLine);
}

/** Starts a process and waits for its ready line, whose match comes back; a child that fails to get there is killed. */
export async function startChild(
  options: ReadyChildOptions,
): Promise<{ readonly child: Child; readonly ready: RegExpExecArray }> {
  const child = await spawnChild(options);
  try {
    return { child, ready: await child.waitForLine(options.ready, options.readyTimeoutMs ?? 15_000) };
  } catch (error) {
    await child.kill();
    throw error;
  }
}

/** Starts one of the plain JavaScript children in test/support under this Node. */
export function startNodeChild(
  script: string,
  options: Omit<ReadyChildOptions, 'command'>,
): ReturnType<typeof startChild> {
  return startChild({ ...options, command: process.execPath, args: [script, ...options.args] });
}

/** Runs a command to its end. @throws Error with its output when it exits with another code than 0 or takes too long. */
export async function runToEnd(options: ChildOptions & { readonly timeoutMs: number }): Promise<string> {
  const child = await spawnChild(options);
  const timer = setTimeout(() => {
    child.signal('SIGKILL');
  }, options.timeoutMs);
  const status = await child.exited;
  clearTimeout(timer);
  if (status.code === 0) return child.output();
  const limit = status.signal === 'SIGKILL' ? ` (allowed: ${options.timeoutMs} ms)` : '';
  throw new Error(`${options.name} ended with ${describe(status)}${limit}:\n${child.output()}`);
}

/** `setpriv --pdeathsig` makes the kernel kill the child even when this process is SIGKILLed. */
function dyingWithParent(command: string, args: readonly string[]): [string, string[]] {
  const setpriv = '/usr/bin/setpriv';
  if (process.platform !== 'linux' || !existsSync(setpriv)) return [command, [...args]];
  return [setpriv, ['--pdeathsig', 'KILL', '--', command, ...args]];
}

function describe(status: ExitStatus): string {
  return status.signal === null ? `exit code ${String(status.code)}` : `signal ${status.signal}`;
}

class SpawnedChild implements Child {
  readonly name: string;
  readonly pid: number;
  readonly exited: Promise<ExitStatus>;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #watchers = new Set<(line: string) => void>();
  #status: ExitStatus | undefined;

  constructor(name: string, child: ChildProcess, onLine: (line: string) => void = () => undefined) {
    if (child.pid === undefined) throw new Error(`${name} has no pid`);
    this.name = name;
    this.pid = child.pid;
    this.#child = child;
    running.add(child);
    this.#watchers.add(onLine);
    for (const stream of [child.stdout, child.stderr]) this.#collect(stream);
    // A child that ended earlier than this process makes the stdin pipe fail; that is no event of note.
    child.stdin?.on('error', () => undefined);
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        running.delete(child);
        this.#status = { code, signal };
        resolve(this.#status);
      });
    });
  }

  isRunning(): boolean {
    return this.#status === undefined;
  }

  output(): string {
    return this.#lines.join('\n');
  }

  async waitForLine(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray> {
    for (const line of this.#lines) {
      const match = pattern.exec(line);
      if (match !== null) return match;
    }
    let timer: NodeJS.Timeout | undefined;
    let watcher: ((line: string) => void) | undefined;
    try {
      return await new Promise<RegExpExecArray>((resolve, reject) => {
        const fail = (why: string) => {
          reject(
            new Error(`${this.name} ${why} before a line matched ${String(pattern)}:\n${this.output()}`),
          );
        };
        watcher = (line) => {
          const match = pattern.exec(line);
          if (match !== null) resolve(match);
        };
        this.#watchers.add(watcher);
        timer = setTimeout(() => {
          fail(`took more than ${timeoutMs} ms`);
        }, timeoutMs);
        void this.exited.then((status) => {
          fail(`ended with ${describe(status)}`);
        });
      });
    } finally {
      clearTimeout(timer);
      if (watcher !== undefined) this.#watchers.delete(watcher);
    }
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#status === undefined) this.#child.kill(signal);
  }

  async stop(deadlineMs = 10_000): Promise<ExitStatus> {
    this.signal('SIGTERM');
    // A paused process would not act on SIGTERM before it is continued.
    this.signal('SIGCONT');
    const timer = setTimeout(() => {
      this.signal('SIGKILL');
    }, deadlineMs);
    const status = await this.exited;
    clearTimeout(timer);
    return status;
  }

  kill(): Promise<ExitStatus> {
    this.signal('SIGKILL');
    return this.exited;
  }

  pause(): void {
    this.signal('SIGSTOP');
  }

  resume(): void {
    this.signal('SIGCONT');
  }

  #collect(stream: NodeJS.ReadableStream | null): void {
    let rest = '';
    stream?.setEncoding('utf8');
    stream?.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#accept(line);
    });
    stream?.on('end', () => {
      if (rest !== '') this.#accept(rest);
    });
  }

  #accept(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > MAX_LINES) this.#lines.splice(0, this.#lines.length - MAX_LINES);
    for (const watcher of this.#watchers) watcher(line);
  }
}
