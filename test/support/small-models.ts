import {
  adapt,
  compile,
  full,
  model,
  sgd,
  square,
  sum,
  trainStep,
  type CompilerOptions,
  type Dims,
  type Node,
  type Shape,
  type TargetName,
  type Tensor,
  type Value,
} from '../../src/index.ts'
import { isTensor, mapTree, sizing } from '../../src/compiler.ts'
import { count, f32, size } from '../../src/tensor/index.ts'
import { randomFrom } from './op-subjects.ts'

/** Small models whose every part can be exchanged, on every target. */

/** Every target that needs no native library, and those that do. */
export const plainTargets = ['reference', 'cpu', 'wasm'] as const
export const nativeTargets = ['node', 'graph'] as const

/** Random values for a tree of tensors: floats about 0, whole numbers below a bound. */
export const valuesFor = (tree: unknown, dims: Dims, seed = 11, below = 2): never => {
  const random = randomFrom(seed)
  const sizeOf = sizing(dims)
  const values = mapTree(tree, isTensor, ({ shape, dtype }): Value<Shape, 'f32' | 'i32'> => {
    const sizes = shape.map(sizeOf)
    const n = count(sizes)
    return dtype === 'i32'
      ? { shape, sizes, dtype: 'i32', data: Int32Array.from({ length: n }, () => Math.floor(random() * below)) }
      : { shape, sizes, dtype: 'f32', data: Float32Array.from({ length: n }, () => random() - 0.5) }
  })
  // the mapped tree keeps the structure of the original
  return values as never
}

type Params = Readonly<Record<string, Node | readonly Node[]>>
/** A function of the language that a test calls with arguments that `tsc` would refuse. */
export const untyped = (f: unknown) => f as (...args: readonly unknown[]) => never

export interface Small {
  readonly params?: Params
  readonly batch?: Readonly<Record<string, Node>>
  readonly forward: (params: Readonly<Record<string, never>>, batch: Readonly<Record<string, never>>) => Node
}

/**
 * A model of a function of its parameters (by default `w`, hidden × hidden) and its batch (by default `x`, batch ×
 * hidden): Σ of its squares.
 */
export const smallModel = ({
  params = { w: f32('hidden', 'hidden') },
  batch = { x: f32('batch', 'hidden') },
  forward,
}: Small) =>
  model({
    params,
    batch,
    forward: (p, b) => forward(p as never, b as never) as Tensor<readonly ['batch', 'hidden']>,
    loss: made => ({ sum: sum(square(made)), count: size('batch') }),
  })

/** A session of such a model, trained whole by plain gradient descent. */
export const openSmall = (
  target: TargetName,
  of: Small,
  { dims, compiler = {} }: { readonly dims: Dims; readonly compiler?: CompilerOptions },
) => {
  const made = smallModel(of)
  const step = trainStep(adapt(made, full({ targets: ['all'] })), sgd({ lr: 0.1 }))
  return compile(step, { target, dims, compiler, weights: valuesFor(made.params, dims) })
}
