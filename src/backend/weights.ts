import { bindDims, given, sizing } from '../compile/index.ts'
import {
  inputsAxis,
  type Dim,
  type Environment,
  type Node,
  type Shape,
  type Source,
  type Value,
} from '../tensor/index.ts'
import {
  isLazyLeaf,
  isValue,
  moduleOf,
  tensorsOf,
  type Addition,
  type FirstValue,
  type IndexChoice,
  type Place,
  type Tuned,
} from '../tune/index.ts'
import { SessionError, type Buffer } from './device.ts'
import type { Loading } from './engine.ts'
import { throwIfAborted, turn, type StopSignal } from './turn.ts'
import { isSame, valueFor, valuesFor } from './values.ts'

const says = ({ shape, sizes }: Source): string => `${shape.join()} ${sizes.join()}`

/** Makes the selections of a method, at random or from the values of a leaf, and checks them. */
const chosen = (
  {
    path,
    index: {
      shape: [rank],
    },
    among,
    choose,
  }: IndexChoice,
  leaf: Node,
  base: Value<Shape>,
): Int32Array => {
  const below = among === 'columns' ? base.sizes[inputsAxis(leaf) ?? 0]! : base.data.length
  if (typeof rank === 'number' && rank > below)
    throw new SessionError(`rank ${rank} is above the width of ${path}, which has ${below} ${among}`)
  const index = choose(base)
  if (typeof rank === 'number' && index.length !== rank)
    throw new SessionError(`${path} has ${index.length} chosen ${among}, and the rank is ${rank}`)
  if (index.some(i => !Number.isInteger(i)))
    throw new SessionError(`the chosen ${among} of ${path} are no whole numbers`)
  if (new Set(index).size !== index.length || index.some(i => i < 0 || i >= below)) {
    throw new SessionError(`the chosen ${among} of ${path} are not ${index.length} different ones below ${below}`)
  }
  return Int32Array.from(index)
}

/** The sources of sizes: the model itself, then the weights, then the caller. */
export interface Assigned {
  readonly sources: readonly Source[]
  readonly selection: ReadonlyMap<string, Int32Array>
}

/**
 * Collects size equations while weights are read, skipping those already known, so that binding stays as small as the
 * number of kinds of leaves.
 */
interface Said {
  readonly sources: Source[]
  readonly note: (where: string, shape: Shape, sizes: readonly number[]) => void
  readonly size: (dim: Dim) => number
}

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

/** Reads a leaf; if it has several places, they must agree. */
const readPlaces = async (places: readonly Place[]): Promise<Value<Shape>> => {
  const [first, ...others] = places as readonly [Place, ...Place[]]
  const read = async ({ path, leaf, found }: Place): Promise<Buffer> =>
    valueFor({
      where: path === '' ? 'the weight' : path,
      leaf,
      found: isLazyLeaf(found) && !isValue(found) ? await found.read() : found,
    })
  const value = await read(first)
  for (const other of others) {
    if (other.found === first.found) continue
    if (!isSame(value, await read(other)))
      throw new SessionError(`${first.path} and ${other.path} are one parameter, and are given different values`)
  }
  // methods select from weights and add to weights, which are f32
  return { ...value, shape: first.leaf.shape } as Value<Shape>
}

interface Given {
  readonly weights: unknown
  readonly dims: Environment
  readonly signal?: StopSignal | undefined
}

/**
 * Reads the weights of the base one by one, selects columns, makes the first values of the leaves that the method adds,
 * and assigns them all. Each leaf of the base is read once, and dropped before the next. Returns the sizes found in the
 * weights.
 */
export const assignWeights = async <P, Q, M, B, O, K extends string, U>(
  { assign }: Pick<Loading, 'assign'>,
  { model, params, selections, additions }: Tuned<P, Q, M, B, O, K, U>,
  { weights, dims, signal }: Given,
): Promise<Assigned> => {
  const indices = new Map<Node, Int32Array>()
  const selection = new Map<string, Int32Array>()
  const { sources, note, size } = saying(model.dims ?? {}, dims)
  const held = new Map(tensorsOf(params).map(([path, leaf]) => [leaf, path]))
  const chosenOf = (index: Node): Int32Array => indices.get(index)!

  const add = async (addition: Addition, values: readonly FirstValue[]): Promise<void> => {
    for (const [i, leaf] of addition.leaves.entries()) {
      const value = values[i]!
      note(held.get(leaf) ?? 'what the method adds', leaf.shape, value.sizes)
      await assign(leaf, value)
    }
  }
  const places = valuesFor('weights', model.params, weights, place => place)
  for (const leaf of new Set(places.map(place => place.leaf))) {
    await turn()
    throwIfAborted(signal)
    const own = places.filter(place => place.leaf === leaf)
    const base = await readPlaces(own)
    // a method names a leaf by its path or by that of its module
    const isHere = (path: string | undefined): boolean =>
      own.some(place => place.path === path || moduleOf(place.path) === path)
    note(own[0]!.path, leaf.shape, base.sizes)
    for (const choice of selections.filter(({ path }) => isHere(path))) {
      const index = indices.get(choice.index) ?? chosen(choice, leaf, base)
      selection.set(choice.path, index)
      if (!indices.has(choice.index)) {
        note(`the choice of ${choice.path}`, choice.index.shape, [index.length])
        await assign(choice.index, { sizes: [index.length], dtype: 'i32', data: index })
      }
      indices.set(choice.index, index)
    }
    if (held.has(leaf)) await assign(leaf, base)
    for (const addition of additions)
      if (addition.of !== undefined && isHere(addition.of))
        await add(addition, addition.make({ base, size, chosen: chosenOf }))
  }
  for (const addition of additions) if (addition.of === undefined) await add(addition, addition.make({ size }))
  return { sources, selection }
}
