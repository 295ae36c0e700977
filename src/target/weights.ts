import { bindDims, given, type Programs } from '../compile/index.ts'
import { count, sizesOf, type DType, type Shape, type Source, type Value } from '../tensor/index.ts'
import { isValue, leaves, type IndexChoice, type LazyLeaf } from '../tune/index.ts'
import { SessionError } from './device.ts'
import type { Runner } from './runner.ts'

type AnyLeaf = LazyLeaf<Shape, DType>
const isLazy = (leaf: unknown): leaf is AnyLeaf => isValue(leaf) || (typeof leaf === 'object' && leaf !== null && 'read' in leaf && typeof leaf.read === 'function')

const says = ({ shape, sizes }: Source): string => `${shape.join()} ${sizes.join()}`

/** Reads the weights one by one, uploads them, and returns the sizes they were seen with. */
export const uploadWeights = async <H>(
  programs: Programs, weights: unknown, { device, held }: Runner<H>, dims: Readonly<Record<string, number>>): Promise<readonly Source[]> => {
  // where the model itself says how large it is, there is room for weights and state before the first leaf is read
  const sizes = [...programs.params, ...programs.state].map(([, leaf]) => sizesOf(dims, leaf.shape))
  device.reserve?.(4.04 * sizes.reduce((sum, s) => sum + (s._tag === 'Right' ? count(s.right) : 0), 0))
  const lazy = new Map(leaves<AnyLeaf>(weights, isLazy)), sources: Source[] = [...given('the model', dims)]
  for (const [path, leaf] of programs.params) {
    const found = lazy.get(path)
    if (found === undefined) throw new SessionError(`the weights have no ${path}`)
    const value: Value<Shape, DType> = isValue(found) ? found : await found.read()
    if (value.dtype !== leaf.dtype) throw new SessionError(`${path} is ${value.dtype}, not ${leaf.dtype}`)
    // a layer like those before it says nothing new: binding stays as small as the model has kinds of leaves
    const source = { where: path, shape: leaf.shape, sizes: value.sizes }
    if (!sources.some(known => says(known) === says(source))) {
      sources.push(source)
      bindDims(sources)
    }
    held.set(leaf, device.upload(value))
  }
  return sources
}

/** Chooses what a method leaves to chance, once the widths of the leaves are known. */
export const uploadChoices = <H>(
  programs: Programs, choices: readonly IndexChoice[], { device, held }: Runner<H>, size: (dim: string | number) => number): ReadonlyMap<string, Int32Array> =>
  new Map(choices.map(({ path, index, choose }) => {
    const leaf = programs.params.find(([p]) => p === path)![1], width = size(leaf.shape[0]!), rank = size(index.shape[0]!)
    if (rank > width) throw new SessionError(`rank ${rank} is above the width of ${path}, which has ${width} columns`)
    const chosen = choose(width)
    if (chosen.length !== rank) throw new SessionError(`${path} has ${chosen.length} chosen columns, and the rank is ${rank}`)
    if (new Set(chosen).size !== rank || chosen.some(i => i < 0 || i >= width)) {
      throw new SessionError(`the chosen columns of ${path} are not ${rank} different ones below ${width}`)
    }
    held.set(index, device.upload({ sizes: [rank], dtype: 'i32', data: chosen }))
    return [path, chosen]
  }))
