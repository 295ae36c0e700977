import {
  bytesPerElement,
  count,
  is,
  node,
  placeholder,
  placeholderOp,
  substitute,
  topological,
  type Along,
  type Dim,
  type Node,
} from '../../tensor/index.ts'
import { hasFactor } from '../names.ts'
import { chunkResults, pieceDim, type Whole } from './op.ts'

/** The facts that chunking needs. */
export interface Chunking {
  /** The size of a dim, for weighing alternatives; a program may run with other sizes. */
  readonly size: (dim: Dim) => number
  /** The bytes of a node's value, unless those of its dtype: a target may store it differently. */
  readonly bytes?: (n: Node) => number
  /** The most bytes of an intermediate value. */
  readonly largest: number
  /** The most rows that are computed at once. */
  readonly rows: number
  /**
   * True if results of the body may also be computed in pieces: each piece is written to its place, and the whole is
   * never assembled.
   */
  readonly results?: boolean
}

/** A node of a region: the way in which its whole is assembled, and the cuts of its inputs. */
interface Member {
  readonly whole: Whole
  readonly cuts: Along
}
type Region = ReadonlyMap<Node, Member>

/**
 * Computes values that are too large to be whole in pieces along their rows: logits, with the loss and the gradient
 * that read them. Such a value and its readers become one chunk, whose results are rows or sums over rows. A large
 * value stays as it is if it is a result of the body, or if a reader does not go over the same rows.
 * @example chunked([crossEntropy(matmul(h, w), labels)], { size, largest: 2 ** 26, rows: 128 })
 */
export const chunked = (roots: readonly Node[], chunking: Chunking): readonly Node[] => {
  const {
    size,
    largest,
    rows,
    results = false,
    bytes = n => count(n.shape.map(size)) * bytesPerElement[n.dtype],
  } = chunking
  const isLarge = (n: Node): boolean => bytes(n) > largest
  /**
   * The rows of a piece. Every piece adds to the sums over the rows, which pays off for a piece a quarter as large as
   * they are.
   */
  const rowsForSums = (seed: Node, region: Region, dim: Dim): number => {
    const sums = [...region].reduce((sum, [n, { whole }]) => sum + (whole.kind === 'sum' ? bytes(n) : 0), 0)
    return Math.ceil((sums * size(dim)) / bytes(seed) / 4)
  }
  const order = topological(roots)
  const readers = new Map<Node, Node[]>(order.map(n => [n, []]))
  for (const n of order) for (const input of new Set(n.inputs)) readers.get(input)!.push(n)
  const graph: Graph = { order, roots: new Set(roots), readers, results }
  for (const seed of order) {
    if (is(seed, placeholderOp) || !isLarge(seed)) continue
    for (const [axis, dim] of seed.shape.entries()) {
      const region = size(dim) > rows ? regionFrom(seed, axis, graph, isLarge) : undefined
      if (region)
        return chunked(withChunk(roots, region, dim, graph, Math.max(rows, rowsForSums(seed, region, dim))), chunking)
    }
  }
  return roots
}

interface Graph {
  readonly order: readonly Node[]
  readonly roots: ReadonlySet<Node>
  readonly readers: ReadonlyMap<Node, readonly Node[]>
  readonly results: boolean
}

/**
 * The nodes that are computed with a large one, row by row: its readers, and theirs as long as they are large, and the
 * nodes on a path that leaves these and returns. Undefined if that is impossible.
 */
const regionFrom = (
  seed: Node,
  axis: number,
  { order, roots, readers, results }: Graph,
  isLarge: (n: Node) => boolean,
): Region | undefined => {
  const dim = seed.shape[axis]!
  const members = new Map<Node, Member>()
  const large: Node[] = []
  const add = (n: Node, whole: Whole, cuts: Along | undefined): boolean => {
    if (cuts === undefined || n.op.dims(n.attributes).some(named => hasFactor(named, dim))) return false
    members.set(n, { whole, cuts })
    if (whole.kind === 'rows' && isLarge(n)) large.push(n)
    return true
  }
  const addRows = (n: Node, along: number): boolean => add(n, { kind: 'rows', axis: along }, n.op.along(n, along))
  /** Adds a reader of a member: its rows are those of the member, or it is a sum over them. */
  const addReader = (reader: Node, member: Node, along: number): boolean => {
    const own = reader.shape.findIndex((of, i) => of === dim && fits(reader.op.along(reader, i), reader, member, along))
    if (own >= 0) return addRows(reader, own)
    return add(reader, { kind: 'sum' }, reader.op.summedAlong?.(reader, reader.inputs.indexOf(member), along))
  }

  if (!addRows(seed, axis)) return undefined
  for (;;) {
    for (let member = large.pop(); member !== undefined; member = large.pop()) {
      const { whole } = members.get(member)!
      if ((roots.has(member) && !results) || whole.kind !== 'rows') return undefined
      if (!readers.get(member)!.every(reader => members.has(reader) || addReader(reader, member, whole.axis)))
        return undefined
    }
    // a large value that only the region reads is computed inside it
    const maker = [...members]
      .flatMap(([n, { cuts }]) =>
        n.inputs.flatMap((input, i) => (cuts[i] === undefined ? [] : [{ input, cut: cuts[i] }])),
      )
      .find(
        ({ input }) =>
          !members.has(input) &&
          !is(input, placeholderOp) &&
          (results || !roots.has(input)) &&
          isLarge(input) &&
          readers.get(input)!.every(reader => members.has(reader)),
      )
    if (maker && addRows(maker.input, maker.cut)) continue
    const between = detour(order, members)
    if (between === undefined) break
    if (between.cut === undefined || !addRows(between.node, between.cut)) return undefined
  }
  return [...members].every(([n, { cuts }]) =>
    n.inputs.every((input, i) => {
      const whole = members.get(input)?.whole
      return whole === undefined || (whole.kind === 'rows' && whole.axis === cuts[i])
    }),
  )
    ? members
    : undefined
}

/** Tests whether a reader's input is cut in the same way as the member. */
const fits = (cuts: Along | undefined, reader: Node, member: Node, axis: number): boolean =>
  cuts !== undefined && reader.inputs.every((input, i) => input !== member || cuts[i] === axis)

/** A node outside a region that depends on it and that it reads, with the place where it is read. */
const detour = (
  order: readonly Node[],
  region: Region,
): { readonly node: Node; readonly cut: number | undefined } | undefined => {
  const after = new Set<Node>()
  for (const n of order) {
    const member = region.get(n)
    if (!member && n.inputs.some(input => region.has(input) || after.has(input))) after.add(n)
    const at = member ? n.inputs.findIndex(input => after.has(input)) : -1
    if (member && at >= 0) return { node: n.inputs[at]!, cut: member.cuts[at] }
  }
  return undefined
}

/** Replaces a region by a chunk. */
const withChunk = (roots: readonly Node[], region: Region, dim: Dim, graph: Graph, rows: number): readonly Node[] => {
  const made = new Map<Node, Node>()
  const given = new Map<string, { readonly input: Node; readonly cut: number | undefined; readonly parameter: Node }>()
  const position = new Map(graph.order.map((n, i) => [n, i]))
  const argument = (input: Node, cut: number | undefined): Node => {
    // a constant is repeated where it is read
    if (cut === undefined && input.inputs.length === 0 && !is(input, placeholderOp)) return input
    const key = `${position.get(input)!} ${cut}`
    const shape = cut === undefined ? input.shape : input.shape.with(cut, pieceDim)
    const known = given.get(key) ?? { input, cut, parameter: placeholder(shape, input.dtype) }
    given.set(key, known)
    return known.parameter
  }
  const members = graph.order.filter(n => region.has(n))
  for (const n of members)
    made.set(
      n,
      node(
        n.op,
        n.inputs.map((input, i) => made.get(input) ?? argument(input, region.get(n)!.cuts[i])),
        n.attributes,
      ),
    )
  const outputs = members.filter(n => graph.roots.has(n) || graph.readers.get(n)!.some(reader => !region.has(reader)))
  const inputs = [...given.values()]
  const results = chunkResults(
    {
      block: {
        name: 'chunk',
        parameters: inputs.map(({ parameter: p }) => p),
        outputs: outputs.map(n => made.get(n)!),
      },
      dim,
      rows,
      inputs: inputs.map(({ cut }) => cut),
      outputs: outputs.map(n => region.get(n)!.whole),
    },
    inputs.map(({ input }) => input),
  )
  return substitute(roots, new Map(outputs.map((output, i) => [output, results[i]!])))
}
