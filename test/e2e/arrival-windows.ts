/**
 * The most arrivals in any window of that length.
 *
 * @param arrivalsUs ascending.
 * @param windowUs the window holds its beginning and not its end.
 */
export function busiestWindow(arrivalsUs: readonly number[], windowUs: number): number {
  let most = 0;
  let first = 0;
  arrivalsUs.forEach((arrivalUs, last) => {
    while (arrivalUs - (arrivalsUs[first] as number) >= windowUs) first++;
    most = Math.max(most, last - first + 1);
  });
  return most;
}
