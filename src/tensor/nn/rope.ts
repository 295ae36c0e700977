import { noDims } from '../facets.ts'
import { node, typed, type Node, type Op, type Tensor } from '../node.ts'
import { composite, unlike } from '../op/composite.ts'
import { show, type Dim, type Shape } from '../shape/index.ts'
import { u } from '../op/untyped.ts'

/** True if positions are rotated back. */
export interface RopeAttributes {
  readonly inverse: boolean
}

/**
 * (x[…, s, d], cos[s, d/2], sin[s, d/2]) => the pairs (x[i], x[i + d/2]) rotated by the angle of their position: rotary
 * position embedding (Su et al. 2021) with Hugging Face's halves. Its vjp rotates back.
 */
export const ropeOp: Op<RopeAttributes> = composite<RopeAttributes>({
  name: 'rope',
  kind: 'rows',
  dims: noDims,
  refuses: ([x, cos, sin]) =>
    cos!.shape.length !== 2 || x!.shape.length < 2
      ? `${show(x!.shape)} and ${show(cos!.shape)} are not […, s, d] and [s, d/2]`
      : (unlike('the cosine', cos!, [x!.shape.at(-2)!, cos!.shape[1]!]) ?? unlike('the sine', sin!, cos!.shape)),
  expand: ([x, cos, sin], { inverse }) => {
    const axis = x!.shape.length - 1
    const half = cos!.shape.at(-1)!
    const a = u.slice(x!, axis, { as: half })
    const b = u.slice(x!, axis, { as: half, start: [half] })
    const turned = (p: Node, q: Node, forward: boolean): Node =>
      (forward ? u.add : u.sub)(u.mul(p, cos!), u.mul(q, sin!))
    return u.concat([turned(a, b, inverse), turned(b, a, !inverse)], axis, x!.shape[axis]!)
  },
  vjp: ({ inputs: [, cos, sin], attributes: { inverse } }, dy) => [
    node(ropeOp, [dy, cos!, sin!], { inverse: !inverse }),
    undefined,
    undefined,
  ],
  cheap: true,
  autograd: {
    // as in transformers: x times tables that have the angle of each pair twice
    saves: ({ inputs: [x] }) => [1, 2].map(table => ({ table, shape: x!.shape.slice(-2) })),
    parts: 'like',
  },
})

/** Rotary position embedding of queries or keys. @example rope(q, cos, sin) */
export const rope = <L extends Shape, S extends Dim, D extends Dim, H extends Dim>(
  x: Tensor<readonly [...L, S, D]>,
  cos: Tensor<readonly [S, H]>,
  sin: Tensor<readonly [S, H]>,
): Tensor<readonly [...L, S, D]> => typed(node(ropeOp, [x, cos, sin], { inverse: false }))
