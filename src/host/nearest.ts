import { distance } from 'fastest-levenshtein'

/**
 * The known name that is most like another: at most three letters apart, and less than half of it. Undefined if there is
 * none.
 * @example nearest('metod', ['method', 'model']) // 'method'
 */
export const nearest = (name: string, known: readonly string[]): string | undefined => {
  const most = Math.min(3, Math.floor((name.length - 1) / 2))
  return known
    .map(other => ({ other, away: distance(name, other) }))
    .filter(({ other, away }) => away > 0 && away <= most && away < other.length / 2)
    .sort((a, b) => a.away - b.away)[0]?.other
}
