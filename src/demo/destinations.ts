/**
 * The demo's three receivers, and what each must get. The filters are spelled
 * twice on purpose: as globs in the configuration (`demo-config.ts`), which the
 * dispatcher's router reads, and here as patterns of ClickHouse's `match()`, by
 * which the reconcile judges that router.
 */
export interface DemoDestination {
  readonly id: string;
  /** RE2, over the whole event type. */
  readonly typePattern: string;
  readonly receiver: ReceiverBehaviour;
}

export interface ReceiverBehaviour {
  /** Wait before each answer. */
  readonly delayMs: number;
  /** Share of attempts that get a 503, 0 to 1. */
  readonly failShare: number;
}

export const DEMO_DESTINATIONS: readonly DemoDestination[] = [
  {
    id: 'crm',
    typePattern: '^(contact|email|campaign|form|scoring|user)[.][^.]+$',
    receiver: { delayMs: 0, failShare: 0 },
  },
  {
    id: 'warehouse',
    typePattern: '^(contact|campaign)[.][^.]+$',
    receiver: { delayMs: 200, failShare: 0 },
  },
  {
    id: 'billing',
    typePattern: '^(transaction|email)[.][^.]+$',
    receiver: { delayMs: 0, failShare: 0.05 },
  },
];

/** The receiver in a person's words: `200 ms slow`, `503 to 5 %`. */
export function describeBehaviour({ delayMs, failShare }: ReceiverBehaviour): string {
  if (delayMs > 0) return `${delayMs} ms slow`;
  return failShare > 0 ? `503 to ${Math.round(failShare * 100)} %` : 'fast';
}
