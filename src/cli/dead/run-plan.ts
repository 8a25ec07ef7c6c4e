import { EVERY_DEAD_LETTER, isMeant } from '../../dead/filter.ts';
import { planDeadLetters, PLAN_MAX_LETTERS } from '../../dead/plan.ts';
import type { DeadLetterPlan, PlanChoice } from '../../dead/plan.ts';
import { PlaceSet } from '../../dead/place-set.ts';
import { systemClock } from '../../domain/clock.ts';
import { confirmed } from './confirm.ts';
import type { DeadLetters } from './connect.ts';
import { filterOf, placesOf } from './options.ts';
import type { FilterOptions } from './options.ts';
import { grouped, lettersText, tallyTable } from './text.ts';

/** Options of a command that changes dead letters. */
export interface ChangeOptions extends FilterOptions {
  readonly yes?: true;
}

interface Change {
  readonly dead: DeadLetters;
  readonly placeTexts: readonly string[];
  readonly options: ChangeOptions;
  /** `Redrive`, `Drop` */
  readonly verb: string;
  readonly whyUnfit: PlanChoice['whyUnfit'];
}

/**
 * Plans, shows on standard output what the plan is, and asks whether to do it.
 * @returns null when there is nothing to do, or the answer is no.
 * @throws UserError for places that are not there, and where nobody can be asked.
 */
export async function agreedPlan(change: Change): Promise<DeadLetterPlan | null> {
  const { options, verb } = change;
  const plan = await makePlan(change);
  if (plan.places.size === 0) {
    console.log(`nothing to ${verb.toLowerCase()}: no open dead letter matches`);
    return null;
  }
  console.log(tallyTable(plan.tally));
  if (plan.isCut)
    console.log(`more match; this run takes ${grouped(PLAN_MAX_LETTERS)}, run it again for the rest`);
  const isTerminal = process.stdin.isTTY && process.stderr.isTTY;
  const isAgreed = await confirmed(`${verb} ${planText(plan)}?`, { yes: options.yes === true, isTerminal });
  if (!isAgreed) console.log('nothing was done');
  return isAgreed ? plan : null;
}

async function makePlan({ dead, placeTexts, options, whyUnfit }: Change): Promise<DeadLetterPlan> {
  const named = placesOf(placeTexts, options);
  const filter = named.length > 0 ? EVERY_DEAD_LETTER : filterOf(options, systemClock.wallMs());
  const wanted = new PlaceSet(named);
  const spans = named.length > 0 ? await dead.spansOf(named) : await dead.spans();
  const plan = await planDeadLetters(spans, dead, {
    isChosen: (letter) => (wanted.size === 0 ? isMeant(letter, filter) : wanted.has(letter.place)),
    whyUnfit,
  });
  let unfit = 0;
  for (const [why, count] of plan.unfit) {
    unfit += count;
    console.log(`left out: ${lettersText(count)} ${why}`);
  }
  const closed = wanted.size - plan.places.size - unfit;
  if (closed > 0) console.log(`left out: ${lettersText(closed)} of those named, redriven or dropped already`);
  return plan;
}

function planText({ places, deliveries }: DeadLetterPlan): string {
  const isDouble = deliveries < places.size;
  return `${lettersText(places.size)}${isDouble ? ` of ${grouped(deliveries)} deliveries` : ''}`;
}
