import { is, product, putOp, reshapeOp, u, ruled, type Dim, type Node, type Shape } from '../../tensor/index.ts'
import type { Ref } from './body.ts'
import { assignAll, writeLayer, writeRows, type Resource } from './held.ts'
import { allOf } from './library.ts'
import { materialised, sizeIn, type Scope, type Sinks, type Write } from './scope.ts'

/** Rows of a leaf, and the leaf as a tensor of such rows. */
interface Rows {
  readonly index: Node
  readonly values: Node
  readonly view: Node
}

/** The rows of a leaf that a value replaces: `put(leaf, index, values)`. */
const rowsOf = (output: Node, leaf: Node): Rows | undefined => {
  const put = is(output, reshapeOp) ? output.inputs[0]! : output
  if (!is(put, putOp)) return undefined
  const [view, index, values] = put.inputs as [Node, Node, Node]
  return (is(view, reshapeOp) ? view.inputs[0] : view) === leaf
    ? alongFirst({ view, index, values }, put.attributes.axis)
    : undefined
}

/** Slices along an axis as rows: those at the same place of the axes before it are neighbours. */
const alongFirst = ({ view, index, values }: Rows, axis: number): Rows => {
  if (axis === 0) return { view, index, values }
  const outer = merged(view.shape.slice(0, axis))
  const width = view.shape[axis]!
  const count = index.shape[0]!
  const first = u.mul(u.iota(outer), u.cast(u.size(width), 'i32'))
  const rest = view.shape.slice(axis + 1)
  const places = merged([outer, count])
  return {
    view: u.reshape(view, [merged([outer, width]), ...rest]),
    index: u.reshape(u.add(u.reshape(first, [outer, 1]), u.reshape(index, [1, count])), [places]),
    values: u.reshape(values, [places, ...rest]),
  }
}

/** The dim of neighbouring axes as one. */
const merged = (dims: Shape): Dim => ruled(product(dims))

/** A variable and its replacement, as an expression of the leaf, or of the layer's leaf, that it holds. */
export interface Replacement {
  readonly resource: Resource
  readonly leaf: Node
  readonly output: Node
  readonly layer?: Ref | undefined
}

/**
 * Writes expressions, and then replaces variables, or one layer of each, in place; only the rows that change, if the
 * replacement shows which. Returns the values of the roots.
 */
export const replacingWith =
  (write: Write) =>
  (
    scope: Scope,
    roots: readonly Node[],
    replacements: readonly Replacement[],
    given: ReadonlyMap<Node, Ref>,
    sinks?: Sinks,
  ): readonly Ref[] => {
    const { body, readers } = scope
    const size = sizeIn(scope)
    const targets = replacements.map(({ resource, leaf, output, layer }) => ({
      resource,
      output,
      layer,
      rows: rowsOf(output, leaf),
    }))
    const values = targets.map(({ output, rows }) => rows?.values ?? output)
    const indices = targets.flatMap(({ rows }) => rows?.index ?? [])
    const refs = write(scope, [...roots, ...values, ...indices], given, sinks)
    // up to here, a held leaf, such as the index of a single matrix, is represented by its handle
    const tensors = refs.slice(roots.length).map(x => materialised(scope, x))
    const before = [allOf(body, readers)]
    let next = values.length
    targets.forEach(({ resource, rows, layer: at }, i) => {
      const value = tensors[i]!
      if (rows === undefined) {
        if (at) writeLayer(body, resource, at, value, before)
        else assignAll(body, resource, value, before)
        return
      }
      const index = tensors[next++]!
      const height = size(rows.view.shape[0]!)
      const first = at && body.apply('Mul', [at, typeof height === 'number' ? body.constant(height, 'i32') : height])
      writeRows(body, resource, first ? body.apply('AddV2', [index, first]) : index, value, before)
    })
    return refs.slice(0, roots.length)
  }
