/** The candidate a typing slip away from `text`, or else one that `text` starts with; null when none is near. */
export function nearest(text: string, candidates: readonly string[]): string | null {
  const spelled = plain(text);
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(spelled.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(spelled, plain(candidate));
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  // `portNumber` for `port`: people add what kind of thing it is to the name.
  return best ?? candidates.find((candidate) => spelled.startsWith(plain(candidate))) ?? null;
}

/** `group_id`, `group-id`, `groupId` are one word to the person who typed it. */
function plain(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]/g, '');
}

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
