import { bindDims, given, sizing } from '../compile/index.ts'
import type { DType, Environment, Shape, Source, Value } from '../tensor/index.ts'
import { isValue, leaves, type IndexChoice, type LazyLeaf } from '../tune/index.ts'
import { SessionError } from './device.ts'
import type { Loading } from './engine.ts'

type AnyLeaf = LazyLeaf<Shape, DType>
const isLazy = (leaf: unknown): leaf is AnyLeaf => isValue(leaf) || (typeof leaf === 'object' && leaf !== null && 'read' in leaf && typeof leaf.read === 'function')

const says = ({ shape, sizes }: Source): string => `${shape.join()} ${sizes.join()}`

/** Chooses what a method leaves to chance, once the width of its leaf is known. */
const chosen = ({ path, choose }: IndexChoice, rank: number, width: number): Int32Array => {
  if (rank > width) throw new SessionError(`rank ${rank} is above the width of ${path}, which has ${width} columns`)
  const index = choose(width)
  if (index.length !== rank) throw new SessionError(`${path} has ${index.length} chosen columns, and the rank is ${rank}`)
  if (new Set(index).size !== rank || index.some(i => i < 0 || i >= width)) {
    throw new SessionError(`the chosen columns of ${path} are not ${rank} different ones below ${width}`)
  }
  return index
}

/** Who says how large things are: the model itself, then the weights, then the caller. */
export interface Assigned { readonly sources: readonly Source[]; readonly columns: ReadonlyMap<string, Int32Array> }

/** Reads the weights one by one, chooses columns, and assigns both; the sizes that the weights were seen with are returned. */
export const assignWeights = async (
  { programs, assign }: Loading, weights: unknown, choices: readonly IndexChoice[], { model, session }: { readonly model: Environment; readonly session: Environment },
): Promise<Assigned> => {
  const lazy = new Map(leaves<AnyLeaf>(weights, isLazy)), sources: Source[] = [...given('the model', model)], columns = new Map<string, Int32Array>()
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
    for (const choice of choices.filter(({ path: of }) => of === path)) {
      const rank = sizing(bindDims([...sources, ...given('dims', session)]))(choice.index.shape[0]!), index = chosen(choice, rank, value.sizes[0]!)
      await assign(choice.index, { sizes: [rank], dtype: 'i32', data: index })
      columns.set(path, index)
    }
    await assign(leaf, value)
  }
  return { sources, columns }
}
