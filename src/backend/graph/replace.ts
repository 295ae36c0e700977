import { is, putOp, reshapeOp, type Node } from '../../tensor/index.ts'
import type { Ref } from './body.ts'
import { assignAll, writeLayer, writeRows, type Resource } from './held.ts'
import { allOf } from './library.ts'
import { materialised, sizeIn, type Scope, type Sinks, type Write } from './scope.ts'

/** The rows of a leaf that a value replaces: `put(leaf, index, values)` along the first axis. */
const rowsOf = (
  output: Node,
  leaf: Node,
): { readonly index: Node; readonly values: Node; readonly view: Node } | undefined => {
  const put = is(output, reshapeOp) ? output.inputs[0]! : output
  if (!is(put, putOp) || put.attributes.axis !== 0) return undefined
  const [view, index, values] = put.inputs as [Node, Node, Node]
  return (is(view, reshapeOp) ? view.inputs[0] : view) === leaf ? { index, values, view } : undefined
}

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
