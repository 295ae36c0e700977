import {
  bodyOf,
  isApplied,
  is,
  loopOp,
  placeholderOp,
  reshapeOp,
  resultOp,
  topological,
  type Applied,
  type Block,
  type Node,
} from '../tensor/index.ts'
import { callsOf } from './blocks.ts'

/** Names for leaves, if they have any: the paths of a parameter tree. */
export type Names = ReadonlyMap<Node, string>

/** A path without its numbers: the common form for the layers of a model. */
export const layerPath = (path: string): string => path.replaceAll(/\.\d+\./g, '.*.')

/** Names for the parameters of a block, from the arguments of its first call. */
export const blockNames = (block: Block, calls: readonly Node[], names: Names): Names =>
  new Map(
    block.parameters.flatMap((p, i) => {
      const passed = calls.map(call => names.get(call.inputs[i]!))
      const first = passed[0]
      return first === undefined ? [] : [[p, calls.length > 1 ? layerPath(first) : first] as const]
    }),
  )

/** The common beginning of paths: `model.layers.*` for the leaves of one layer. */
export const commonPath = (paths: readonly string[]): string => {
  // the last word belongs to a single leaf
  const [first = [], ...rest] = paths
    .filter(path => !path.startsWith('columns('))
    .map(path => path.split('.').slice(0, -1))
  const shared = first.findIndex((word, i) => rest.some(other => other[i] !== word))
  return first.slice(0, shared < 0 ? first.length : shared).join('.')
}

/**
 * An expression in one line, such as `take(rmsNorm(x, input_layernorm), columns)`; below the given depth, only names.
 */
export const describe = (n: Node, names: Names, depth = 3): string => {
  const name = names.get(n)
  if (name !== undefined) return name
  if (is(n, placeholderOp)) return `[${n.shape.join(', ')}]`
  // a reshape moves no data, and means nothing to a reader
  if (is(n, reshapeOp)) return describe(n.inputs[0]!, names, depth)
  if (is(n, resultOp)) return `${bodyOf(n.inputs[0]!)?.name ?? 'call'}.${n.attributes.index}`
  return depth === 0 ? '…' : `${n.op.name}(${n.inputs.map(input => describe(input, names, depth - 1)).join(', ')})`
}

/**
 * A program as text: one line per node, blocks first, each once. Equal programs give equal texts, so a test can pin
 * them.
 * @example print([loss], new Map([[w, 'w']]))
 */
export const print = (roots: readonly Node[], names: Names = new Map()): string => {
  const blocks = [...callsOf(roots)].map(([block, calls]) => printBlock(block, calls, names))
  return [...blocks, body(roots, names)].join('\n\n')
}

const printBlock = (block: Block, calls: readonly Node[], names: Names): string => {
  const inner = blockNames(block, calls, names)
  const named = new Map(block.parameters.map((p, i) => [p, inner.get(p) ?? `arg${i}`]))
  const parameters = block.parameters.map(p => `  ${named.get(p)!}: ${signature(p)}`)
  return [`block ${block.name}, called ${calls.length} times`, ...parameters, body(block.outputs, named)].join('\n')
}

/** The lines of a block whose parameters have names. */
export const blockText = (block: Block, names: Names): string => `${block.name}\n${body(block.outputs, names)}`

const signature = ({ shape, dtype }: Node): string => `[${shape.join(', ')}]${dtype === 'f32' ? '' : ` ${dtype}`}`

const body = (roots: readonly Node[], names: Names): string => {
  const labels = new Map<Node, string>(names)
  const lines: string[] = []
  for (const n of topological(roots)) {
    if (labels.has(n)) continue
    labels.set(n, `%${lines.length}`)
    const inputs = n.inputs.map(input => labels.get(input)!)
    const attributes = isApplied(n) ? applicationText(n) : attributesText(n)
    lines.push(
      `  ${labels.get(n)!}: ${signature(n)} = ${n.op.name}(${inputs.join(', ')})${attributes === '' ? '' : ` ${attributes}`}`,
    )
  }
  return [...lines, `  return ${roots.map(root => labels.get(root)!).join(', ')}`].join('\n')
}

/** The attributes that the signature does not already show. */
const attributesText = (n: Node): string => {
  const { shape: _, dtype: __, ...rest } = { shape: undefined, dtype: undefined, ...(n.attributes as object) }
  return Object.keys(rest).length === 0 ? '' : JSON.stringify(rest)
}

/** The name of the block that is applied; for a loop also its dim, and its direction if it is not that of the dim. */
const applicationText = (n: Applied): string => {
  const { name } = n.attributes.block
  return is(n, loopOp) ? `${name} for ${n.attributes.count}${n.attributes.reverse ? ', backwards' : ''}` : name
}
