import * as E from 'fp-ts/lib/Either.js'
import { gradients, whole } from '../grad.ts'
import { interpret } from '../interpret.ts'
import { ShapeMismatch, substitute, topological, type Node, type NodeOf, type Op } from '../node.ts'
import { parameter } from './parameter.ts'

interface Composite<A> {
  readonly name: string
  /** What the op means, in terms of other ops. */
  readonly expand: (inputs: readonly Node[], attributes: A) => Node
  /** A vjp of its own, where it keeps less or computes less than that of the expansion, which it must equal. */
  readonly vjp?: (node: NodeOf<A>, cotangent: Node) => readonly (Node | undefined)[]
  readonly cheap?: boolean
  /** See `Op`. */
  readonly curvature?: number
}

/** An op that is a name for an expression: its shape, meaning and cost are those of the expansion. */
export const composite = <A>({ name, expand, vjp, cheap = false, curvature }: Composite<A>): Op<A> => ({
  name,
  expand,
  cheap,
  ...(curvature === undefined ? {} : { curvature }),
  shape: (inputs, attributes) => E.tryCatch(() => {
    const { shape, dtype } = expand(inputs, attributes)
    return { shape, dtype }
  }, error => (error instanceof ShapeMismatch ? `${name}: ${error.message}` : String(error))),
  eval: (inputs, attributes, { size, inputs: declared }) => {
    const leaves = declared.map(({ shape, dtype }) => parameter(shape, dtype))
    return interpret([expand(leaves, attributes)], new Map(leaves.map((leaf, i) => [leaf, inputs[i]!])), size)[0]!
  },
  vjp: vjp ?? ((node, cotangent) => {
    const leaves = node.inputs.map(({ shape, dtype }) => parameter(shape, dtype)), at = new Map(leaves.map((leaf, i) => [leaf, node.inputs[i]!]))
    const differentiable = leaves.filter(leaf => leaf.dtype === 'f32')
    const expanded = gradients([expand(leaves, node.attributes)], [cotangent], differentiable.map(whole)).gradients
    return leaves.map(leaf => { const g = expanded[differentiable.indexOf(leaf)]; return g && substitute([g], at)[0] })
  }),
  flops: (_, attributes, { size, inputs: declared }) => topological([expand(declared.map(({ shape, dtype }) => parameter(shape, dtype)), attributes)])
    .reduce((sum, n) => sum + n.op.flops(n.inputs.map(input => input.shape.map(size)), n.attributes, { sizes: n.shape.map(size), size, inputs: n.inputs }), 0),
})
