import type { Dispatcher } from '../app/dispatcher.ts';
import { systemClock } from '../domain/clock.ts';
import type { LiveView } from './live-view.ts';
import { takeSample } from './sampling.ts';
import { viewOf, withSample, type DemoSample } from './view-model.ts';

const REDRAW_MS = 250;

export interface PhasesOptions {
  readonly dispatcher: Pick<Dispatcher, 'lanes' | 'stats'>;
  readonly destinationIds: readonly string[];
  readonly view: LiveView;
  /** Rejects when the demo cannot go on. */
  readonly fatal: Promise<never>;
}

/** Runs one phase of the demo after the other, with the state of the dispatcher on show. */
export class Phases {
  readonly #options: PhasesOptions;
  #samples: readonly DemoSample[] = [];

  constructor(options: PhasesOptions) {
    this.#options = options;
  }

  /**
   * Waits for the work of a phase.
   * @param totalSeconds null when it has no set end.
   * @throws whatever ends the demo meanwhile.
   */
  async during<T>(name: string, totalSeconds: number | null, work: Promise<T>): Promise<T> {
    const startMs = systemClock.monotonicMs();
    const draw = (): void => {
      this.#draw(name, (systemClock.monotonicMs() - startMs) / 1_000, totalSeconds);
    };
    draw();
    const timer = setInterval(draw, REDRAW_MS);
    try {
      return await Promise.race([work, this.#options.fatal]);
    } finally {
      clearInterval(timer);
      draw();
    }
  }

  #draw(name: string, elapsedSeconds: number, totalSeconds: number | null): void {
    const { dispatcher, destinationIds, view } = this.#options;
    this.#samples = withSample(this.#samples, takeSample(dispatcher, destinationIds, systemClock));
    view.show(viewOf(this.#samples), { name, elapsedSeconds, totalSeconds });
  }
}
