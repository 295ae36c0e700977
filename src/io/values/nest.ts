import { refusal } from '../../text/index.ts'
import type { AnyValue, Tree } from '../../tune/index.ts'

/** The deepest tree that is made from names alone. */
const deepest = 128

type Named = readonly (readonly [path: string, value: AnyValue])[]

/** Groups values by the first key of their paths. */
const groups = (values: Named): ReadonlyMap<string, Named> => {
  const found = new Map<string, (readonly [string, AnyValue])[]>()
  for (const [path, value] of values) {
    const dot = path.indexOf('.')
    const key = dot < 0 ? path : path.slice(0, dot)
    const group = found.get(key) ?? []
    group.push([dot < 0 ? '' : path.slice(dot + 1), value])
    found.set(key, group)
  }
  return found
}

/**
 * A tree from dotted paths: records, and arrays if the keys of a level are 0, 1, 2, ….
 * @throws an `IoError` if a path is both a value and the beginning of another
 * @example nestedFrom('a.safetensors', [['layers.0.up', up]]) // { layers: [{ up }] }
 */
export const nestedFrom = (file: string, values: Named, above = '', depth = 0): Tree<AnyValue> => {
  if (depth > deepest) throw refusal(`${file}: ${above} nests deeper than ${deepest}: declare the tree to load`)
  const entries = [...groups(values)].map(([key, group]): readonly [string, Tree<AnyValue>] => {
    const path = `${above}${key}`
    const own = group.find(([rest]) => rest === '')
    if (own !== undefined && group.length > 1)
      throw refusal(`${file}: ${path} is a tensor, and others lie below it: declare the tree to load`)
    return [key, own === undefined ? nestedFrom(file, group, `${path}.`, depth + 1) : own[1]]
  })
  const tree = new Map(entries)
  const isArray = entries.length > 0 && entries.every((_, i) => tree.has(String(i)))
  return isArray ? entries.map((_, i) => tree.get(String(i))!) : Object.fromEntries(entries)
}
