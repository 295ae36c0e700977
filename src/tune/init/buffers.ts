import { count, is, placeholderOp, zerosInit, type Node } from '../../tensor/index.ts'
import { declaredLeaves, unflatten, type Values } from '../tree.ts'
import { sizesFor } from './params.ts'

const dataFor = (leaf: Node, path: string, sizes: readonly number[]): Float32Array | Int32Array => {
  if (leaf.dtype === 'i32') return new Int32Array(count(sizes))
  if (leaf.dtype !== 'f32') throw new RangeError(`init: ${path} is ${leaf.dtype}, and first values are f32 or i32`)
  const usual = (is(leaf, placeholderOp) ? leaf.attributes.usual : undefined) ?? zerosInit()
  return usual({ seed: 0, path, sizes })
}

/**
 * First values of a model's buffers, in their structure: what a layer in `nn` declares, such as a variance of 1, and
 * zeros otherwise.
 * @throws {RangeError} for a dim without a size, and for a model without buffers
 * @example const run = await compile(step, { weights, buffers: init.buffers(mlp, { dims: { hidden: 64 } }) })
 */
export const buffers = <U>(
  { buffers: declared, dims: own = {} }: { readonly buffers?: U; readonly dims?: Readonly<Record<string, number>> },
  { dims = {} }: { readonly dims?: Readonly<Record<string, number>> } = {},
): Values<U> => {
  if (declared === undefined) throw new RangeError('init: the model declares no buffers')
  const leaves = declaredLeaves('buffers', declared)
  const sizes = sizesFor(leaves, own, dims)
  // the tree has the structure of `buffers`, with a value of its shape at each leaf
  return unflatten(
    declared,
    leaves.map(([path, leaf], i) => ({
      shape: leaf.shape,
      sizes: sizes[i]!,
      dtype: leaf.dtype,
      data: dataFor(leaf, path, sizes[i]!),
    })),
  ) as Values<U>
}
