import { bindDims, given, sizing } from '../compile/index.ts'
import type { Dim, DType, Environment, Node, Shape, Source, Value } from '../tensor/index.ts'
import { isLazyLeaf, isValue, leaves, tensorsOf, type Addition, type FirstValue, type IndexChoice, type LazyLeaf, type Tuned } from '../tune/index.ts'
import { SessionError } from './device.ts'
import type { Loading } from './engine.ts'

type AnyLeaf = LazyLeaf<Shape, DType>

const says = ({ shape, sizes }: Source): string => `${shape.join()} ${sizes.join()}`

/** Chooses what a method leaves to chance, or to the values of a leaf, and checks it. */
const chosen = ({ path, index: { shape: [rank] }, among, choose }: IndexChoice, leaf: Value<Shape>): Int32Array => {
  const below = among === 'columns' ? leaf.sizes[0]! : leaf.data.length
  if (typeof rank === 'number' && rank > below) throw new SessionError(`rank ${rank} is above the width of ${path}, which has ${below} ${among}`)
  const index = choose(leaf)
  if (typeof rank === 'number' && index.length !== rank) throw new SessionError(`${path} has ${index.length} chosen ${among}, and the rank is ${rank}`)
  if (new Set(index).size !== index.length || index.some(i => i < 0 || i >= below)) {
    throw new SessionError(`the chosen ${among} of ${path} are not ${index.length} different ones below ${below}`)
  }
  return index
}

/** Who says how large things are: the model itself, then the weights, then the caller. */
export interface Assigned { readonly sources: readonly Source[]; readonly columns: ReadonlyMap<string, Int32Array> }

/** What is read, and what is said of its size: a layer like those before it says nothing new, so binding stays as small as the model has kinds of leaves. */
interface Said { readonly sources: Source[]; readonly note: (where: string, shape: Shape, sizes: readonly number[]) => void; readonly size: (dim: Dim) => number }

const saying = (model: Environment, session: Environment): Said => {
  const sources: Source[] = [...given('the model', model)]
  let size: ((dim: Dim) => number) | undefined
  return {
    sources,
    note: (where, shape, sizes) => {
      const source = { where, shape, sizes }
      if (sources.some(known => says(known) === says(source))) return
      sources.push(source)
      bindDims(sources)
      size = undefined
    },
    size: dim => (size ??= sizing(bindDims([...sources, ...given('dims', session)])))(dim),
  }
}

/**
 * Reads the weights of the base one by one, chooses columns, makes the first values of what the method adds, and assigns them all: each
 * leaf of the base is read once, and forgotten before the next. The sizes that the weights were seen with are returned.
 */
export const assignWeights = async <P, Q, M, B, L extends Shape>(
  { assign }: Pick<Loading, 'assign'>, { model, params, selections, additions }: Tuned<P, Q, M, B, L>, weights: unknown, dims: Environment): Promise<Assigned> => {
  const lazy = new Map(leaves<AnyLeaf>(weights, isLazyLeaf)), indices = new Map<Node, Int32Array>(), columns = new Map<string, Int32Array>()
  const { sources, note, size } = saying(model.dims ?? {}, dims), held = new Map(tensorsOf(params).map(([path, leaf]) => [leaf, path]))
  const chosenOf = (index: Node): Int32Array => indices.get(index)!

  const add = async (addition: Addition, values: readonly FirstValue[]): Promise<void> => {
    for (const [i, leaf] of addition.leaves.entries()) {
      const value = values[i]!
      note(held.get(leaf) ?? 'what the method adds', leaf.shape, value.sizes)
      await assign(leaf, value)
    }
  }
  for (const [path, leaf] of tensorsOf(model.params)) {
    const found = lazy.get(path)
    if (found === undefined) throw new SessionError(`the weights have no ${path}`)
    const value: Value<Shape, DType> = isValue(found) ? found : await found.read()
    if (value.dtype !== leaf.dtype) throw new SessionError(`${path} is ${value.dtype}, not ${leaf.dtype}`)
    note(path, leaf.shape, value.sizes)
    // what methods choose from and add to are weights, which are f32
    const base = value as Value<Shape>
    for (const choice of selections.filter(({ path: of }) => of === path)) {
      const index = indices.get(choice.index) ?? chosen(choice, base)
      columns.set(path, index)
      if (!indices.has(choice.index)) {
        note(`the choice of ${path}`, choice.index.shape, [index.length])
        await assign(choice.index, { sizes: [index.length], dtype: 'i32', data: index })
      }
      indices.set(choice.index, index)
    }
    if (held.has(leaf)) await assign(leaf, value)
    for (const addition of additions) if (addition.of === path) await add(addition, addition.make({ base, size, chosen: chosenOf }))
  }
  for (const addition of additions) if (addition.of === undefined) await add(addition, addition.make({ size }))
  return { sources, columns }
}
