import { is, placeholderOp, type Node } from '../tensor/index.ts'
import { AmbiguousTree } from '../tune/index.ts'

/** The leaves of a declared tree, each with its path. */
type Leaves = readonly (readonly [path: string, leaf: Node])[]
/** Every leaf at the first of its paths. */
export const onceEach = (leaves: Leaves): Leaves => {
  const seen = new Set<Node>()
  return leaves.filter(([, leaf]) => !seen.has(leaf) && seen.add(leaf))
}

/** Refuses leaves that cannot be parameters, parts of a batch or buffers. */
export const checkDeclared = (params: Leaves, batch: Leaves, buffers: Leaves): void => {
  const refuse = (text: string): never => {
    throw new AmbiguousTree(text)
  }
  const own = new Map(params.map(([path, leaf]) => [leaf, path]))
  for (const [path, leaf] of [...params, ...batch, ...buffers])
    if (!is(leaf, placeholderOp)) refuse(`${path} is an expression: a leaf is declared as f32(…) or i32(…)`)
  for (const [path, leaf] of batch)
    if (own.has(leaf)) refuse(`${path} of the batch is the parameter ${own.get(leaf)}: declare another leaf`)
  const others = new Map([...batch.map(([path, leaf]) => [leaf, `${path} of the batch`] as const), ...own])
  const paths = new Set(batch.map(([path]) => path))
  for (const [path, leaf] of buffers) {
    if (others.has(leaf)) refuse(`${path} is ${others.get(leaf)}: declare another leaf`)
    if (paths.has(path)) refuse(`a leaf of the batch is called ${path}, as a buffer is: rename one`)
    others.set(leaf, path)
  }
}
