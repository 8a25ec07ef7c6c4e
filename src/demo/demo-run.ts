import type { Dispatcher } from '../app/dispatcher.ts';
import type { DemoOptions } from '../cli/demo-options.ts';
import { systemClock } from '../domain/clock.ts';
import { SampleProducer, type Receivers } from './children.ts';
import { DEMO_TOPIC } from './demo-config.ts';
import type { DemoFolder } from './demo-folder.ts';
import { DEMO_DESTINATIONS, describeBehaviour } from './destinations.ts';
import { openLiveView, type LiveView } from './live-view.ts';
import { Phases } from './phases.ts';
import { countProduced, countRetriesOut, countStored } from './reconcile.ts';
import { printReport } from './report.ts';
import { aborted, until } from './waiting.ts';

const RATE_PER_SECOND = 2_000;
const KEEP_RATE_PER_SECOND = 20;
const TENANTS = 20;
const START_TIMEOUT_MS = 30_000;
/** For everything produced to become durable, and once more for the drain. */
const DRAIN_DEADLINE_MS = 20_000;
/** For a run that failed: its lanes must not outlive the ledger they write to. */
const FAILED_DRAIN_DEADLINE_MS = 1_000;

export interface DemoParts {
  readonly dispatcher: Dispatcher;
  readonly receivers: Receivers;
  readonly folder: DemoFolder;
  /** Ends the producing; what was produced is still delivered and judged. */
  readonly stop: AbortSignal;
}

/** One run over running parts: wait for the assignment, produce, settle, drain, report. */
export class DemoRun {
  readonly #parts: DemoParts;
  readonly #view: LiveView = openLiveView(process.stdout, systemClock);
  readonly #phases: Phases;
  readonly #failures: string[] = [];
  #producer: SampleProducer | null = null;
  #drained = false;

  constructor(parts: DemoParts) {
    this.#parts = parts;
    this.#phases = new Phases({
      dispatcher: parts.dispatcher,
      destinationIds: DEMO_DESTINATIONS.map(({ id }) => id),
      view: this.#view,
      fatal: endOfParts(parts),
    });
  }

  /** @returns whether everything that must hold did. */
  async play({ seconds, keep }: DemoOptions): Promise<boolean> {
    const { stop } = this.#parts;
    this.#introduce();
    await this.#phases.during('starting', null, this.#assigned());
    await this.#produce(RATE_PER_SECOND, seconds);
    let holds = true;
    if (keep && !stop.aborted) {
      await this.#settle();
      holds = await this.#report();
      this.#announce();
      await this.#produce(KEEP_RATE_PER_SECOND, null);
    }
    await this.#settle();
    await this.#drain();
    return (await this.#report()) && holds;
  }

  /** Leaves no producer behind, and a dispatcher that can be closed, also after a failure. */
  async close(): Promise<void> {
    this.#view.end();
    await this.#producer?.stop();
    if (!this.#drained) await this.#parts.dispatcher.drain(FAILED_DRAIN_DEADLINE_MS);
  }

  #introduce(): void {
    const { dispatcher, receivers, folder } = this.#parts;
    const places = DEMO_DESTINATIONS.map(
      ({ id, receiver }) => `${id} at port ${receivers.ports[id]} (${describeBehaviour(receiver)})`,
    );
    this.#view.note(`embedded broker ${dispatcher.brokers}, embedded ClickHouse, log ${folder.logFile}`);
    this.#view.note(`receivers: ${places.join(', ')}`);
  }

  #announce(): void {
    const { dispatcher, folder } = this.#parts;
    this.#view.note(`\nUp until Ctrl-C, with ${KEEP_RATE_PER_SECOND} events/s:`);
    for (const path of ['/metrics', '/health', '/health/ready']) {
      this.#view.note(`  http://127.0.0.1:${dispatcher.httpPort}${path}`);
    }
    this.#view.note(`  broker ${dispatcher.brokers}, configuration ${folder.configFile}`);
  }

  /** Waits until partitions are assigned, so that no event counts the start as its latency. */
  async #assigned(): Promise<void> {
    const { dispatcher, stop } = this.#parts;
    const isAssigned = (): boolean =>
      dispatcher.readiness().ready && dispatcher.stats().partitions.length > 0;
    if ((await until(isAssigned, START_TIMEOUT_MS, stop)) || stop.aborted) return;
    const checks = JSON.stringify(dispatcher.readiness().checks);
    throw new Error(`the dispatcher was not ready after ${START_TIMEOUT_MS / 1_000} s: ${checks}`);
  }

  /** @param seconds null: until the stop, which ends the other case too. */
  async #produce(ratePerSecond: number, seconds: number | null): Promise<void> {
    const { dispatcher, folder, stop } = this.#parts;
    if (stop.aborted) return;
    const producer = new SampleProducer({
      brokers: dispatcher.brokers,
      topic: DEMO_TOPIC,
      ratePerSecond,
      tenants: TENANTS,
      seconds,
      manifestFile: folder.manifestFile,
      logFile: folder.childrenLogFile,
    });
    this.#producer = producer;
    const over = Promise.race([producer.ended.then(() => true), aborted(stop).then(() => false)]);
    const endedByItself = await this.#phases.during('producing', seconds, over);
    const ended = endedByItself ? producer.ended : producer.stop();
    const end = await this.#phases.during('waiting for the producer', null, ended);
    this.#producer = null;
    if (end !== 0) this.#failures.push(`the producer ended with ${end}: see ${folder.childrenLogFile}`);
  }

  /** Waits until everything that was produced is durable, and no retry is out. */
  async #settle(): Promise<void> {
    const { dispatcher, folder } = this.#parts;
    const { ledger } = dispatcher;
    const produced = await countProduced(ledger, folder.manifestFile);
    // In this order: once every event is in the ledger and no record is open, what is still to come has a row that says so.
    const isSettled = async (): Promise<boolean> =>
      this.#isQuiet() &&
      (await countStored(ledger)) >= produced &&
      this.#isQuiet() &&
      (await countRetriesOut(ledger)) === 0;
    if (await this.#phases.during('settling', null, until(isSettled, DRAIN_DEADLINE_MS))) return;
    const [stored, retriesOut] = [await countStored(ledger), await countRetriesOut(ledger)];
    this.#failures.push(
      `${DRAIN_DEADLINE_MS / 1_000} s after the last event ${stored} of ${produced} were stored, ` +
        `${dispatcher.stats().openRecords} records open, ${retriesOut} retries out`,
    );
  }

  #isQuiet(): boolean {
    const { openRecords, partitions } = this.#parts.dispatcher.stats();
    return openRecords === 0 && partitions.every(({ lagRecords }) => !lagRecords);
  }

  async #drain(): Promise<void> {
    const { dispatcher } = this.#parts;
    const { openRecords, ledger } = dispatcher.stats();
    this.#view.note(`draining: ${openRecords} records open, ${ledger.pendingRows} ledger rows pending`);
    this.#drained = true;
    const isEmpty = await this.#phases.during('draining', null, dispatcher.drain(DRAIN_DEADLINE_MS));
    if (!isEmpty) this.#failures.push('the drain left records open or uncommitted');
  }

  async #report(): Promise<boolean> {
    const { dispatcher, receivers, folder } = this.#parts;
    this.#view.end();
    await receivers.flush();
    return printReport({
      dispatcher,
      folder,
      receivers: receivers.counts,
      failures: this.#failures,
      print: (text) => {
        console.log(text);
      },
    });
  }
}

/** Rejects when a part ends by itself. Each phase listens; what happens between two is heard by the next. */
function endOfParts({ dispatcher, receivers }: DemoParts): Promise<never> {
  const end = Promise.race([
    dispatcher.failed,
    receivers.ended.then((how) => new Error(`the receivers ended with ${how}`)),
  ]);
  const fatal = end.then((error): never => {
    throw error;
  });
  fatal.catch(() => undefined);
  return fatal;
}
