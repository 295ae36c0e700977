import {
  blockOf,
  is,
  loopOp,
  placeholder,
  placeholderOp,
  resultOp,
  topological,
  type Dim,
  type Node,
  type Places,
  type Required,
  type Saved,
} from '../../tensor/index.ts'
import { elementOf, placesOf, storageOf, type Element, type Held, type Storage } from './storage.ts'
import { productsOf, type Application } from './work.ts'

/** The facts about a run in PyTorch on which depends what it keeps. */
export interface Setting {
  /** All in float32, all in 16 bits (with what an op computes in float32), or automatic mixed precision. */
  readonly precision: 'f32' | 'bf16' | 'amp'
  /** On a GPU a mask is one byte for each number; on a CPU it is a tensor like the operand. */
  readonly device: 'cuda' | 'cpu'
  /** True if keys and values that heads share are repeated, and every layer has its own rotary tables. */
  readonly unshared: boolean
}

/** Something that is kept: its bytes, the op that keeps it, and the layer in which that is, if it is in one. */
export interface Kept {
  readonly op: string
  readonly layer: number | undefined
  readonly storage: Storage
}
/** A call of a layer: the values that it is given, and the storages that are kept inside. */
export interface LayerKept {
  readonly inputs: readonly Storage[]
  readonly kept: readonly Kept[]
}
/** The tensors that a forward pass keeps: outside of layers before the head, in layers, and from the head on. */
export interface Folded {
  readonly outside: readonly Kept[]
  readonly layers: readonly LayerKept[]
  readonly head: readonly Kept[]
  /** The ops that run, in their order. */
  readonly applications: readonly Application[]
  /** The memory that a value outside of layers lies in. */
  readonly at: (n: Node) => Storage | undefined
}

export interface Leaf {
  readonly needs: Required | undefined
  readonly isParameter: boolean
}

/** Thrown if an expression has no counterpart in PyTorch that keeps known tensors. */
export class NoAccount extends Error {
  override readonly name = 'NoAccount'
}

const differentiable = (n: Node): boolean =>
  n.op.autograd !== undefined || n.op.expand !== undefined || n.op.several !== undefined || is(n, resultOp)

/** The nodes through which a gradient flows from some roots, and the results of calls among them. */
const reached = (order: readonly Node[], roots: readonly Node[]) => {
  const live = new Set(roots)
  const results = new Map<Node, Set<number>>()
  for (const n of order.toReversed()) {
    if (!live.has(n) || !differentiable(n)) continue
    for (const input of n.inputs) if (input.dtype === 'f32') live.add(input)
    if (is(n, resultOp)) {
      const [call] = n.inputs
      results.set(call!, (results.get(call!) ?? new Set()).add(n.attributes.index))
    }
  }
  return { live, results }
}

/**
 * The tensors that PyTorch keeps for the backward pass of an expression: a fold over its nodes, in which each op says which tensors
 * it keeps. A tensor that several ops keep is kept once; parameters, and whatever leads to no gradient, not at all.
 * `isHead` tests for the nodes from the model's head on.
 */
export const foldOf = (
  root: Node,
  leafOf: (n: Node) => Leaf,
  isHead: (n: Node) => boolean,
  { precision, device, unshared }: Setting,
  size: (dim: Dim) => number,
): Folded => {
  const real: Element = precision === 'bf16' ? 'half' : 'f32'
  const layers: LayerKept[] = []
  const found = { outside: [] as Kept[], head: [] as Kept[], applications: [] as Application[] }
  const casts = new Map<Storage, Storage>()
  const tables = new Map<Storage, Storage>()

  const visit = (roots: readonly Node[], live: readonly Node[], env: Map<Node, Held>, into: (n: Node) => Kept[]) => {
    const order = topological(roots)
    const through = reached(order, live)
    const results = new Map<Node, readonly Held[]>()
    const ownTables = unshared ? new Map<Storage, Storage>() : tables

    const declared = (n: Node): Held => {
      const { needs, isParameter } = leafOf(n)
      const element = elementOf(n.dtype, real)
      return { storage: { ...storageOf(n.shape, element, size), isParameter }, element, needs, isNumber: false }
    }
    /** A result of its own, whose storage is that of another if given. */
    const made = (n: Node, element: Element, needs: Required | undefined, storage?: Storage): Held => {
      const own = elementOf(n.dtype, element)
      const isNumber = n.shape.length === 0
      return { storage: storage ?? storageOf(n.shape, own, size), element: own, needs, isNumber }
    }
    /** An operand in another precision: a copy for each reader, and one for all readers of a parameter. */
    const converted = (held: Held, of: Node, to: 'half' | 'f32' | 'first' | undefined): Held => {
      if (precision !== 'amp' || to === undefined || to === 'first' || held.element === to || of.dtype !== 'f32')
        return held
      const known = held.storage.isParameter ? casts.get(held.storage) : undefined
      const storage = known ?? storageOf(of.shape, to, size)
      if (held.storage.isParameter) casts.set(held.storage, storage)
      const result = { ...held, storage, element: to }
      if (known === undefined) found.applications.push(cast(of, held, result))
      return result
    }

    const kept = (n: Node, saved: Saved, operands: readonly Held[], result: Held): Storage => {
      if (saved === 'result') return result.storage
      if ('table' in saved) {
        const { storage } = operands[saved.table]!
        const made = ownTables.get(storage) ?? storageOf(saved.shape, real, size)
        ownTables.set(storage, made)
        return made
      }
      if ('own' in saved) {
        const like = operands[0]!.element
        const element = {
          f32: 'f32',
          like,
          statistics: device === 'cuda' ? 'f32' : like,
          mask: device === 'cuda' ? 'bool' : like,
        } as const
        return storageOf(saved.shape, element[saved.own], size)
      }
      const operand = operands[saved.operand]!
      const of = n.inputs[saved.operand]!
      const places: Places | undefined = saved.along
      if (places !== undefined) return storageOf(placesOf(of.shape, places), operand.element, size)
      if (saved.as === 'f32' && operand.element !== 'f32') return storageOf(of.shape, 'f32', size)
      if (saved.repeated !== undefined && unshared) {
        const repeated = storageOf(saved.repeated, operand.element, size)
        return repeated.bytes > operand.storage.bytes ? repeated : operand.storage
      }
      return operand.storage
    }

    const called = (n: Node, given: readonly Held[]): void => {
      const block = blockOf(n)!
      const inner: Kept[] = []
      const layer = layers.length
      const values = new Map(block.parameters.map((p, i) => [p, given[i]!]))
      layers.push({
        inputs: given.filter(({ storage }) => !storage.isParameter).map(({ storage }) => storage),
        kept: inner,
      })
      const used = through.results.get(n) ?? new Set()
      const inside = visit(
        block.outputs,
        block.outputs.filter((_, i) => used.has(i) && through.live.has(n)),
        values,
        () => inner,
      )
      inner.forEach((one, i) => (inner[i] = { ...one, layer }))
      results.set(n, inside)
    }

    const applied = (n: Node, given: readonly Held[]): Held => {
      const { autograd } = n.op
      const operands = given.map((held, i) => converted(held, n.inputs[i]!, autograd?.autocast))
      const reals = operands.filter(({ isNumber, element }) => !isNumber && (element === 'f32' || element === 'half'))
      const widest: Element = reals.some(({ element }) => element === 'f32') ? 'f32' : reals.length > 0 ? 'half' : real
      const needs = operands.map(held => held.needs)
      const flows = autograd !== undefined && n.dtype === 'f32' && needs.some(need => need !== undefined)
      const all: Required = {}
      const required = !flows
        ? undefined
        : autograd.requires
          ? autograd.requires(n, needs)
          : autograd.view
            ? throughView(n, needs[0])
            : all
      const isRemade = n.op.unpacks === true || n.op.cheap === 'of weights'
      const isLent = autograd?.view === true || (isRemade && operands.every(o => o.storage.isParameter))
      // a packed weight is unpacked in the precision of the product that reads it
      const element =
        autograd?.view === true || autograd?.autocast === 'first'
          ? operands[0]!.element
          : n.op.unpacks && precision === 'amp'
            ? 'half'
            : widest
      const result = made(n, element, required, isLent ? operands[0]!.storage : undefined)
      const isLive = flows && through.live.has(n)
      const saves = isLive
        ? autograd.saves(n, needs).map(saved => ({ saved, storage: kept(n, saved, operands, result) }))
        : []
      for (const { saved, storage } of saves)
        if (!storage.isParameter && !isOne(saved, operands)) into(n).push({ op: n.op.name, layer: undefined, storage })
      if (autograd?.parts) inParts(n, given)
      else
        found.applications.push({
          products: () => productsOf(n, size),
          again: autograd?.products,
          kind: n.op.kind,
          isView: autograd?.view === true,
          operands: operands.map((held, i) => ({ held, shape: n.inputs[i]!.shape })),
          result: { held: result, shape: n.shape },
          kept: saves.map(({ storage }) => storage),
          copies: saves.flatMap(({ saved, storage }) =>
            typeof saved === 'object' && 'operand' in saved && storage !== operands[saved.operand]!.storage
              ? [storage]
              : [],
          ),
          flows: isLive,
        })
      return result
    }
    /** The applications of an op that PyTorch runs part by part. */
    const inParts = (n: Node, given: readonly Held[]): void => {
      const leaves = n.inputs.map(({ shape, dtype }) => placeholder(shape, dtype))
      const inside = n.op.expand!(leaves, n.attributes)
      const values = given.map((held, i) => {
        if (n.op.autograd?.parts !== 'f32' || held.element !== 'half' || held.storage.isParameter) return held
        const wide = { ...held, element: 'f32' as const, storage: storageOf(n.inputs[i]!.shape, 'f32', size) }
        found.applications.push(cast(n.inputs[i]!, held, wide))
        return wide
      })
      visit([inside], through.live.has(n) ? [inside] : [], new Map(leaves.map((l, i) => [l, values[i]!])), () => [])
    }

    const value = (n: Node): Held => {
      const known = env.get(n)
      if (known) return known
      if (is(n, placeholderOp)) return declared(n)
      const given = n.inputs.map(input => env.get(input)!)
      if (is(n, loopOp)) throw new NoAccount('a loop over time has no account of what PyTorch keeps')
      if (is(n, resultOp)) return results.get(n.inputs[0]!)![n.attributes.index]!
      if (n.op.several !== undefined) {
        called(n, given)
        return made(n, real, undefined)
      }
      if (n.op.autograd === undefined && n.op.expand !== undefined) {
        const leaves = n.inputs.map(({ shape, dtype }) => placeholder(shape, dtype))
        const expanded = n.op.expand(leaves, n.attributes)
        const isLive = through.live.has(n)
        return visit([expanded], isLive ? [expanded] : [], new Map(leaves.map((l, i) => [l, given[i]!])), () =>
          into(n),
        )[0]!
      }
      return applied(n, given)
    }
    for (const n of order) env.set(n, value(n))
    return roots.map(n => env.get(n)!)
  }
  const env = new Map<Node, Held>()
  visit([root], [root], env, n => (isHead(n) ? found.head : found.outside))
  return { ...found, layers, at: n => env.get(n)?.storage }
}

/** The conversion of a value to another precision. */
const cast = ({ shape }: Node, held: Held, result: Held): Application => ({
  products: () => 0,
  again: undefined,
  kind: 'movement',
  isView: false,
  operands: [{ held, shape }],
  result: { held: result, shape },
  kept: [],
  copies: [],
  flows: held.needs !== undefined,
})

/** A single number that is kept is not counted. */
const isOne = (saved: Saved, operands: readonly Held[]): boolean =>
  typeof saved === 'object' && 'operand' in saved && operands[saved.operand]!.isNumber

/** The part of a view that requires a gradient: the same places, if an axis of the view runs along theirs. */
const throughView = (n: Node, of: Required | undefined): Required => {
  const places = of?.along
  if (places === undefined) return {}
  const axis = n.shape.findIndex((_, i) => n.op.along(n, i)?.[0] === places.axis)
  return axis < 0 ? {} : { along: { axis, dim: places.dim } }
}
