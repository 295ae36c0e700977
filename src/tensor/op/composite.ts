import * as E from '../../either/index.ts'
import { noDims } from '../facets.ts'
import { gradients } from '../grad.ts'
import { whole } from '../wanted.ts'
import { interpret } from '../interpret.ts'
import { misfitIn } from '../misfit.ts'
import {
  ShapeMismatch,
  substitute,
  topological,
  type Kind,
  type Node,
  type NodeOf,
  type Op,
  type Signature,
} from '../node.ts'
import { show, type Shape } from '../shape/index.ts'
import type { DType } from '../value.ts'
import { alongExpansion, smoothExpansion } from './expansion.ts'
import { placeholder } from './placeholder.ts'

interface Described<A> {
  readonly name: string
  /** The meaning of the op, in terms of other ops. */
  readonly expand: (inputs: readonly Node[], attributes: A) => Node
  /**
   * The reason why the operands break the assumptions of a kernel, if they do, although the expansion would accept them
   * because it broadcasts.
   */
  readonly refuses?: (inputs: readonly Node[], attributes: A) => string | undefined
  /** A vjp of its own, if it keeps less or computes less than that of the expansion, which it must equal. */
  readonly vjp?: (node: NodeOf<A>, cotangent: Node) => readonly (Node | undefined)[]
  /** The same as in `Op`, like the following members. */
  readonly kind: Kind
  /** Specified if the expansion has corners that cancel. */
  readonly smooth?: boolean
  readonly cheap?: Op['cheap']
  readonly curvature?: number
  readonly autograd?: Op<A>['autograd']
}
/** A composite; one whose attributes have members specifies the dims among them. */
export type Composite<A> = Described<A> & (keyof A extends never ? unknown : Pick<Op<A>, 'dims'>)

/**
 * The reason why an operand does not have a shape and a dtype, if it does not.
 * @example unlike('the scale', g, ['hidden']) is 'the scale is [1], not [hidden]'
 */
export const unlike = (
  what: string,
  { shape, dtype }: Signature,
  expected: Shape,
  type: DType = 'f32',
): string | undefined =>
  dtype !== type
    ? `${what} is ${dtype}, not ${type}`
    : shape.length === expected.length && shape.every((dim, axis) => dim === expected[axis])
      ? undefined
      : `${what} is ${show(shape)}, not ${show(expected)}`

/**
 * An op that is a name for an expression: its shape, meaning, cost and rows are those of the expansion, and it fits if
 * the expansion does.
 */
export const composite = <A>({
  name,
  expand,
  refuses = () => undefined,
  vjp,
  kind,
  smooth,
  cheap = false,
  curvature,
  autograd,
  ...own
}: Composite<A>): Op<A> => ({
  name,
  expand,
  kind,
  dims: noDims,
  ...own,
  along: (node, axis) => alongExpansion(expand, node, axis),
  smooth: node => smooth ?? smoothExpansion(expand, node),
  cheap,
  ...(curvature === undefined ? {} : { curvature }),
  ...(autograd === undefined ? {} : { autograd }),
  shape: (inputs, attributes) =>
    E.tryCatch(
      () => {
        const wrong = refuses(inputs, attributes)
        if (wrong !== undefined) throw new ShapeMismatch(wrong)
        const { shape, dtype } = expand(inputs, attributes)
        return { shape, dtype }
      },
      error => (error instanceof ShapeMismatch ? `${name}: ${error.message}` : String(error)),
    ),
  misfit: (_, attributes, { size, inputs: declared }) => {
    const text = misfitIn(
      [
        expand(
          declared.map(({ shape, dtype }) => placeholder(shape, dtype)),
          attributes,
        ),
      ],
      size,
    )
    return text === undefined ? undefined : `${name}: ${text}`
  },
  eval: (inputs, attributes, { size, inputs: declared }) => {
    const leaves = declared.map(({ shape, dtype }) => placeholder(shape, dtype))
    return interpret([expand(leaves, attributes)], new Map(leaves.map((leaf, i) => [leaf, inputs[i]!])), size)[0]!
  },
  vjp:
    vjp ??
    ((node, cotangent) => {
      const leaves = node.inputs.map(({ shape, dtype }) => placeholder(shape, dtype))
      const at = new Map(leaves.map((leaf, i) => [leaf, node.inputs[i]!]))
      const differentiable = leaves.filter(leaf => leaf.dtype === 'f32')
      const expanded = gradients([expand(leaves, node.attributes)], [cotangent], differentiable.map(whole)).gradients
      return leaves.map(leaf => {
        const g = expanded[differentiable.indexOf(leaf)]
        return g && substitute([g], at)[0]
      })
    }),
  flops: (_, attributes, { size, inputs: declared }) =>
    topological([
      expand(
        declared.map(({ shape, dtype }) => placeholder(shape, dtype)),
        attributes,
      ),
    ]).reduce(
      (sum, n) =>
        sum +
        n.op.flops(
          n.inputs.map(input => input.shape.map(size)),
          n.attributes,
          { sizes: n.shape.map(size), size, inputs: n.inputs },
        ),
      0,
    ),
})
