import path from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';

const EVERY_MS = 60_000;

/** Says once a minute which test files are under way, so that the log of a run that was cut off names what hung. */
export class UnderWayReporter implements Reporter {
  readonly #running = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  onTestModuleStart({ moduleId }: TestModule): void {
    this.#running.set(moduleId, Date.now());
    this.#timer ??= setInterval(() => {
      this.#say();
    }, EVERY_MS).unref();
  }

  onTestModuleEnd({ moduleId }: TestModule): void {
    this.#running.delete(moduleId);
  }

  onTestRunEnd(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #say(): void {
    const nowMs = Date.now();
    for (const [moduleId, sinceMs] of this.#running) {
      const seconds = Math.round((nowMs - sinceMs) / 1000);
      if (seconds * 1000 >= EVERY_MS)
        console.log(`under way for ${seconds} s: ${path.relative('.', moduleId)}`);
    }
  }
}
