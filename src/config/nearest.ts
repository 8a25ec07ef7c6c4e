/** The candidate a typing slip away from `text`, or null when none is near. */
export function nearest(text: string, candidates: readonly string[]): string | null {
  const spelled = plain(text);
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(spelled.length / 3)) + 1;
  for (const candidate of candidates) {
    const other = plain(candidate);
    // `timeoutMs` for `timeout`: units are in the value here, so people add them to the name.
    const distance = spelled.startsWith(other) && other.length > 3 ? 1 : editDistance(spelled, other);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
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
