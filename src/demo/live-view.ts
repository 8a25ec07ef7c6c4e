import { createLogUpdate } from 'log-update';
import type { Clock } from '../domain/clock.ts';
import { colors } from './colors.ts';
import { bar, grouped, megabytes, milliseconds, sparkline } from './numbers.ts';
import { tableText } from './table.ts';
import type { DemoView } from './view-model.ts';

/** Where the run stands: `producing`, 12 of 30 s. */
export interface DemoPhase {
  readonly name: string;
  readonly elapsedSeconds: number;
  /** Null when it has no set end. */
  readonly totalSeconds: number | null;
}

export interface LiveView {
  /** Shows the state now; may be called as often as one likes. */
  show(view: DemoView, phase: DemoPhase): void;
  /** Prints a line that stays. */
  note(line: string): void;
  /** Leaves the last state standing. */
  end(): void;
}

const PLAIN_INTERVAL_MS = 2_000;
const BAR_CHARACTERS = 20;
/** The embedded broker keeps 5 MB a partition and drops the oldest: about 17,000 sample events. */
const LAG_WARNING_RECORDS = 10_000;

/** A picture that is redrawn on a terminal; elsewhere a plain line every 2 s. */
export function openLiveView(output: NodeJS.WriteStream, clock: Clock): LiveView {
  return output.isTTY ? terminalView(output) : plainView(output, clock);
}

function terminalView(output: NodeJS.WriteStream): LiveView {
  const update = createLogUpdate(output);
  return {
    show: (view, phase) => {
      update(frame(view, phase));
    },
    note: (line) => {
      update.clear();
      output.write(`${line}\n`);
    },
    end: () => {
      update.done();
    },
  };
}

function plainView(output: NodeJS.WriteStream, clock: Clock): LiveView {
  let nextMs = clock.monotonicMs();
  let phaseShown = '';
  return {
    show: (view, phase) => {
      const nowMs = clock.monotonicMs();
      if (nowMs < nextMs && phase.name === phaseShown) return;
      nextMs = nowMs + PLAIN_INTERVAL_MS;
      phaseShown = phase.name;
      output.write(`${plainLine(view, phase)}\n`);
    },
    note: (line) => {
      output.write(`${line}\n`);
    },
    end: () => undefined,
  };
}

/** Everything on one line: `producing 12/30 s  in 2,001/s  delivered 3,420/s  in flight 131 …` */
function plainLine(view: DemoView, phase: DemoPhase): string {
  const destinations = view.destinations.map(
    ({ id, delivered, retried, dead, inFlight }) =>
      `${id} ${grouped(delivered)} delivered, ${grouped(retried)} retried, ${grouped(dead)} dead, ${grouped(inFlight)} in flight`,
  );
  return [
    `${phase.name} ${progressText(phase)}`,
    ...figures(view).map(([name, value]) => `${name} ${value}`),
    ...destinations,
  ]
    .concat(lagWarning(view) ?? [])
    .join(' | ');
}

function frame(view: DemoView, phase: DemoPhase): string {
  const share = phase.totalSeconds === null ? 0 : phase.elapsedSeconds / phase.totalSeconds;
  const progress = phase.totalSeconds === null ? '' : `${colors.cyan(bar(share, BAR_CHARACTERS))} `;
  const [first, second] = halves(
    figures(view).map(([name, value]) => `${colors.dim(name)} ${colors.bold(value)}`),
  );
  const warning = lagWarning(view);
  return [
    '',
    `${colors.bold('EventDispatch demo')}  ${phase.name} ${progress}${progressText(phase)}`,
    first.join('   '),
    second.join('   '),
    destinationTable(view),
    ...(warning === null ? [] : [colors.yellow(warning)]),
  ].join('\n');
}

function destinationTable(view: DemoView): string {
  return tableText(
    [
      ['destination', 'left'],
      ['delivered', 'right'],
      ['per s', 'right'],
      ['', 'left'],
      ['retried', 'right'],
      ['dead', 'right'],
      ['in flight', 'right'],
    ],
    view.destinations.map(({ id, delivered, deliveredPerSecond, history, retried, dead, inFlight }) => [
      id,
      colors.green(grouped(delivered)),
      grouped(deliveredPerSecond),
      colors.green(sparkline(history)),
      retried > 0 ? colors.yellow(grouped(retried)) : '0',
      dead > 0 ? colors.red(grouped(dead)) : '0',
      grouped(inFlight),
    ]),
  );
}

function figures(view: DemoView): (readonly [name: string, value: string])[] {
  return [
    ['in', `${grouped(view.readPerSecond)}/s`],
    ['delivered', `${grouped(view.deliveredPerSecond)}/s`],
    ['in flight', grouped(view.inFlight)],
    ['lag', grouped(view.lagRecords)],
    ['waiting for a retry', grouped(view.waitingRetries)],
    ['breakers opened', grouped(view.breakersOpened)],
    ['produce to receipt p50', milliseconds(view.p50Ms)],
    ['p99', milliseconds(view.p99Ms)],
    ['ledger rows', grouped(view.ledgerRows)],
    ['RSS', megabytes(view.rssBytes)],
  ];
}

function halves<T>(items: readonly T[]): readonly [readonly T[], readonly T[]] {
  const middle = Math.ceil(items.length / 2);
  return [items.slice(0, middle), items.slice(middle)];
}

function progressText({ elapsedSeconds, totalSeconds }: DemoPhase): string {
  const elapsed = Math.floor(elapsedSeconds);
  return totalSeconds === null ? `${elapsed} s` : `${Math.min(elapsed, totalSeconds)}/${totalSeconds} s`;
}

function lagWarning({ lagRecords }: DemoView): string | null {
  if (lagRecords <= LAG_WARNING_RECORDS) return null;
  return `lag ${grouped(lagRecords)} nears what the embedded broker keeps (5 MB a partition); beyond it records are lost`;
}
