import { gradients } from './grad.ts'
import { whole, type Wanted } from './wanted.ts'
import { substitute, topological, type Node, type Tensor } from './node.ts'
import { placeholder, scalar } from './op/placeholder.ts'
import type { Partition } from './partition.ts'
import { u } from './op/untyped.ts'

/**
 * Derivatives in a direction, from reverse mode alone: no op needs a second rule, and a vjp that consists of ops can be
 * differentiated again.
 */

/** Σ ⟨aᵢ, bᵢ⟩ over all elements of some tensors. @example innerProduct(gradients, tangents) */
export const innerProduct = (a: readonly Node[], b: readonly Node[]): Node =>
  a
    .map((x, i) =>
      u.sum(
        u.mul(x, b[i]!),
        x.shape.map((_, axis) => axis),
      ),
    )
    .reduce((sum, term) => u.add(sum, term), scalar(0))

/**
 * The outputs, and their derivatives at some leaves along tangents of the leaves' shapes. For cotangents u, g(u) = Jᵀ u
 * is linear in u, so the gradient of ⟨g(u), v⟩ with respect to u is J v, whatever u is (Townsend 2017, "A new trick for
 * calculating Jacobian vector products").
 */
export const directional = (outputs: readonly Node[], leaves: readonly Node[], tangents: readonly Node[]) => {
  const cotangents = outputs.map(({ shape }) => placeholder(shape, 'f32'))
  const back = gradients(outputs, cotangents, leaves.map(whole))
  const along = gradients([innerProduct(back.gradients, tangents)], [scalar(1)], cotangents.map(whole)).gradients
  // a rule that is linear in its cotangent may still mention the cotangent
  const zeros = new Map(cotangents.map(leaf => [leaf, u.broadcastTo(scalar(0), leaf.shape)] as const))
  const all = [...back.outputs, ...along]
  const made = topological(along).some(n => zeros.has(n)) ? substitute(all, zeros) : all
  return { outputs: made.slice(0, outputs.length), tangents: made.slice(outputs.length) }
}

/**
 * The inner product ⟨gradient, tangents⟩, followed by the outputs. Its gradient with respect to the wanted leaves is
 * the Hessian of the outputs (weighted by the cotangents) times the tangents, inside the wanted parts. A tangent has
 * the shape of its gradient.
 */
export const alongGradient = (
  outputs: readonly Node[],
  cotangents: readonly Node[],
  wanted: readonly Wanted[],
  tangents: readonly Node[],
  partition?: Partition,
): readonly Node[] => {
  const first = gradients(outputs, cotangents, wanted, partition)
  return [innerProduct(first.gradients, tangents), ...first.outputs]
}

/** New leaves of the same shapes, so that a primal may be any expression. */
const leavesLike = <T extends readonly Node[]>(primals: T): T =>
  primals.map(({ shape, dtype }) => placeholder(shape, dtype)) as readonly Node[] as T

/**
 * Forward-mode derivative: f at the primals, and its derivative there along the tangents, like `jax.jvp`.
 * @example const [y, dy] = jvp(x => tanh(matmul(x, w)), [x], [v])
 */
export const jvp = <const T extends readonly Node[], R extends Node>(
  f: (...primals: T) => R,
  primals: T,
  tangents: NoInfer<T>,
): readonly [R, R] => {
  const leaves = leavesLike(primals)
  const made = directional([f(...leaves)], leaves, tangents)
  // both have the shape of the result
  return substitute(
    [made.outputs[0]!, made.tangents[0]!],
    new Map(leaves.map((leaf, i) => [leaf, primals[i]!])),
  ) as readonly Node[] as readonly [R, R]
}

/**
 * A Hessian-vector product: H v for the Hessian H of a scalar function at the primals, without the matrix (Pearlmutter
 * 1994). Reverse mode twice: H v is the gradient of ⟨∇f, v⟩.
 * @example const [hv] = hvp(w => sum(square(matmul(x, w))), [w], [v])
 */
export const hvp = <const T extends readonly Node[]>(
  f: (...primals: T) => Tensor<readonly []>,
  primals: T,
  tangents: NoInfer<T>,
): T => {
  const leaves = leavesLike(primals)
  const wanted = leaves.map(whole)
  const { gradients: made } = gradients(
    alongGradient([f(...leaves)], [scalar(1)], wanted, tangents),
    [scalar(1)],
    wanted,
  )
  // the products have the shapes of the primals
  return substitute(made, new Map(leaves.map((leaf, i) => [leaf, primals[i]!]))) as readonly Node[] as T
}
