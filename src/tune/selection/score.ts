/**
 * Σ w² of each column of a weight, in float64. In a weight `[in, out]`, a column of the paper's W is a row of storage;
 * in one of `[rows, columns, in, out]`, it is the `out` numbers that lie side by side at each place: specify `run`.
 * @example squaredNorms(value.data, 576)
 */
export const squaredNorms = (
  value: ArrayLike<number>,
  width: number,
  run: number = value.length / width,
): Float64Array => {
  const sums = new Float64Array(width)
  for (let start = 0, column = 0; start < value.length; start += run, column = (column + 1) % width) {
    let sum = sums[column]!
    for (let i = start; i < start + run; i++) sum += value[i]! * value[i]!
    sums[column] = sum
  }
  return sums
}

/**
 * The indices of the `rank` largest scores, in ascending order; of equal scores, earlier ones win.
 * @example largest([1, 3, 2, 3], 2) // [1, 3]
 */
export const largest = (scores: ArrayLike<number>, rank: number): Int32Array =>
  Int32Array.from(
    Array.from(scores, (_, i) => i)
      .sort((a, b) => scores[b]! - scores[a]! || a - b)
      .slice(0, rank),
  ).sort()

/** Σ of the scores of several modules, column by column. */
const addedScores = (scores: readonly ArrayLike<number>[]): Float64Array =>
  Float64Array.from({ length: scores[0]?.length ?? 0 }, (_, i) => scores.reduce((sum, of) => sum + of[i]!, 0))

/**
 * The `rank` columns of a weight that have the largest L2 norm, in ascending order (Woo et al., ICLR 2025, Table 5).
 * The arguments are those of {@link squaredNorms}.
 * @example selectByWeight(value.data, 576, 8)
 */
export const selectByWeight = (
  value: ArrayLike<number>,
  width: number,
  rank: number,
  run: number = value.length / width,
): Int32Array => largest(squaredNorms(value, width, run), rank)

/**
 * A selection for every module, from scores of its columns: modules of one group are scored together and share a
 * selection. Ranks may differ from module to module; the largest columns of a smaller rank are among those of a larger
 * one.
 * @example selectByScore(scores, inputGroups(model), () => 8)
 */
export const selectByScore = (
  scores: ReadonlyMap<string, ArrayLike<number>>,
  groups: readonly (readonly string[])[],
  rankOf: (path: string) => number,
): ReadonlyMap<string, Int32Array> => {
  const groupOf = new Map(groups.flatMap(group => group.map(path => [path, group])))
  return new Map(
    [...scores].map(([path, own]) => {
      const members = (groupOf.get(path) ?? [path])
        .map(member => scores.get(member))
        .filter(found => found !== undefined)
      return [path, largest(members.length > 1 ? addedScores(members) : own, rankOf(path))]
    }),
  )
}
