import { tensorsOf } from '../tree.ts'

// Leaves by patterns of their paths.

/**
 * The regular expression of a pattern: `*` stands for a part of one name, `**` for any names; a pattern also matches
 * everything below what it matches.
 */
const expressionOf = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern.replaceAll(/\*\*\.?|\*|[^*]+/g, part =>
      part === '**.'
        ? '(?:.*\\.)?'
        : part === '**'
          ? '.*'
          : part === '*'
            ? '[^.]*'
            : part.replaceAll(/[\\^$.|?+()[\]{}]/g, '\\$&'),
    )}(?:\\.|$)`,
    's',
  )

/**
 * The first pattern that matches each leaf, by path.
 * @throws {RangeError} for a pattern that matches no leaf of a tree that has leaves
 */
export const matched = (what: string, patterns: readonly string[], tree: unknown): ReadonlyMap<string, string> => {
  const paths = tensorsOf(tree).map(([path]) => path)
  const expressions = patterns.map(pattern => [pattern, expressionOf(pattern)] as const)
  const idle = expressions.find(([, expression]) => !paths.some(path => expression.test(path)))
  if (idle !== undefined && paths.length > 0)
    throw new RangeError(`${what}: ${idle[0]} matches no leaf: what is trained is ${paths.join(', ')}`)
  return new Map(
    paths.flatMap(path => {
      const found = expressions.find(([, expression]) => expression.test(path))
      return found === undefined ? [] : [[path, found[0]] as const]
    }),
  )
}
