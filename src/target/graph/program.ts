import { carriedOutputs, chunkOp, loopOp, pieceDim, type Chunk, type Whole, type Loop } from '../../compile/index.ts'
import { blockOf, factors, is, parameterOp, putOp, reshapeOp, resultOp, topological, type Block, type Dim, type Node, type NodeOf } from '../../tensor/index.ts'
import { type Anchor, type Body, type Ref } from './body.ts'
import { assignAll, handleOf, layerOf, readAll, writeLayer, writeRows, type Resource } from './held.ts'
import { after, called, whileLoop, type Library } from './library.ts'
import { lowered, type Emit, type GraphLowering, type GraphLowerings, type Kernel } from './lowering.ts'
import { shapeOf, sizeRef, sizesIn, type Size } from './sizes.ts'
import type { FloatType, GraphType } from './types.ts'

/** What holds for all programs of a graph. */
export interface Writing {
  readonly library: Library
  readonly lowerings: GraphLowerings
  /** The variable that a placeholder stands for. */
  readonly resourceOf: (placeholder: Node) => Resource | undefined
  /** The size of a name, where it is known when the graph is written. */
  readonly sizeOf: (name: string) => number | undefined
  /** The other names: their sizes are passed along, in this order. */
  readonly dynamic: readonly string[]
  /** Whether fused blocks are compiled by XLA; else their ops run one by one. */
  readonly xla: boolean
}

/** How a program stores what it computes. */
export interface Precision {
  readonly compute: FloatType
  /** The type in which a value is kept. */
  readonly stored: (n: Node) => GraphType
}

/**
 * What a stack is in a graph: a list of tensors; a pile, whose last one is taken off, so that its memory is free again; or a variable.
 * What a While is given lives until its end, so the elements of a list do too.
 */
interface Stack { readonly list?: Ref; readonly pile?: Ref; readonly resource?: Resource; readonly element: GraphType }
/** Results that are written into variables where they lie: by the loop that makes them, and the number of the result. */
export type Sinks = ReadonlyMap<Node, ReadonlyMap<number, Sink>>
/** The variable, and the layer of it that the loop's first layer is. */
export interface Sink { readonly resource: Resource; readonly from: number }

/** A program as it is written into a body. */
export interface Scope {
  readonly body: Body
  readonly sizes: readonly Ref[]
  readonly writing: Writing
  readonly precision: Precision
  /** The stacks that are known by a handle in place of a tensor. */
  readonly stacks: Map<string, Stack>
  /** What reads or writes variables, in order. */
  readonly readers: Anchor[]
}

export const scopeIn = (body: Body, sizes: readonly Ref[], writing: Writing, precision: Precision): Scope =>
  ({ body, sizes, writing, precision, stacks: new Map(), readers: [] })

/** The size of a dim in a scope. */
const sizeIn = ({ body, sizes, writing }: Scope): ((dim: Dim) => Size) => sizesIn(body, name => {
  const known = writing.sizeOf(name), at = writing.dynamic.indexOf(name)
  if (known !== undefined) return known
  if (at < 0) throw new Error(`the graph does not know the size of ${name}`)
  return sizes[at]!
})

const anyShape = (body: Body): Ref => body.constant(-1, 'i32')

/** A stack known by a handle: what loops read layer by layer. */
export const asList = ({ body, stacks, precision }: Scope, x: Ref, n: Node): Ref => {
  if (stacks.has(x.text)) return x
  const shape = body.apply('Shape', [x]), rest = body.apply('StridedSlice', [shape, body.constant([1], 'i32'), body.constant([0], 'i32'), body.constant([1], 'i32')], { end_mask: { int: 1 } })
  const list = body.apply('TensorListFromTensor', [body.cast(x, precision.stored(n)), rest])
  stacks.set(list.text, { list, element: precision.stored(n) })
  return list
}

/** The tensor behind a handle. */
const materialised = ({ body, stacks, readers }: Scope, x: Ref): Ref => {
  const stack = stacks.get(x.text)
  if (stack === undefined) return x
  if (stack.list) return body.apply('TensorListStack', [stack.list, anyShape(body)], { element_dtype: { type: stack.element } })
  const read = readAll(body, stack.resource!)
  readers.push(read)
  return read
}

/** One layer of what is known by a handle. */
const elementOf = ({ body, readers }: Scope, { list, pile, resource, element }: Stack, at: Ref): Ref => {
  if (pile) return body.apply('StackPopV2', [pile], { elem_type: { type: element } })
  if (list) return body.apply('TensorListGetItem', [list, at, anyShape(body)], { element_dtype: { type: element } })
  const read = readAll(body, resource!)
  readers.push(read)
  return layerOf(body, read, at)
}

/** Writes expressions into a scope, given the values of some nodes, and returns the values of the roots, each in the type in which it is stored. */
export const write = (scope: Scope, roots: readonly Node[], given: ReadonlyMap<Node, Ref>, sinks: Sinks = new Map()): readonly Ref[] => {
  const { body, writing, precision, stacks, readers } = scope, known = new Map(given), order = topological(roots)
  const piles = pilesIn(order, roots)
  for (const n of order) {
    const resource = is(n, parameterOp) && !known.has(n) ? writing.resourceOf(n) : undefined
    if (resource === undefined) continue
    const handle = handleOf(body, resource)
    stacks.set(handle.text, { resource, element: resource.type })
    known.set(n, handle)
  }
  let product: Anchor | undefined
  /** Products run one after the other in the order of the program: what is computed again waits until it is needed. */
  const inOrder = (inputs: readonly Ref[]): readonly Ref[] => (product ? [after(body, inputs[0]!, [product]), ...inputs.slice(1)] : inputs)
  const kept = (n: Node, x: Ref): Ref => body.cast(x, precision.stored(n))
  const storing = (lowering: GraphLowering): GraphLowering => (n, inputs, emit) => {
    if (is(n, parameterOp)) return lowering(n, inputs, emit)
    const [stack] = inputs, single = stack && stacks.get(stack.text)
    if (single && n.op.name === 'slice' && n.shape[0] === 1 && n.inputs[0]!.shape[0] !== 1) return body.apply('ExpandDims', [elementOf(scope, single, startOf(n, emit)), body.constant(0, 'i32')])
    const tensors = inputs.map(x => materialised(scope, x)), isProduct = n.op.name === 'contract'
    const result = lowering(n, isProduct ? inOrder(tensors) : tensors, emit)
    if (isProduct) product = result
    return kept(n, result)
  }
  const table = Object.fromEntries(Object.entries(writing.lowerings).map(([name, lowering]) => [name, lowering === 'expand' ? lowering : storing(lowering)])) as unknown as GraphLowerings
  const results = lowered(table, roots, known, { body, size: sizeIn(scope), compute: precision.compute, ...(writing.xla ? { kernel: kernelIn(scope, () => product) } : {}) }, (n, inputs) => {
    const block = blockOf(n)
    if (block?.fused) return fusedCall(scope, block, inputs.map(x => materialised(scope, x)), product ? [product] : [])
    if (block) return plainCall(scope, block, inputs.map(x => materialised(scope, x)))
    if (is(n, chunkOp)) return chunk(scope, n, inputs.map(x => materialised(scope, x)), sinks.get(n) ?? new Map())
    if (is(n, loopOp)) return loop(scope, n, inputs, { sinks: sinks.get(n) ?? new Map(), piles: piles.get(n) ?? new Set() })
    return undefined
  })
  readers.push(...results)
  return results
}

/** Has XLA compile a few ops as one function, which waits for the products before it. */
const kernelIn = ({ body, writing: { library } }: Scope, last: () => Anchor | undefined): Kernel => (name, inputs, write) => {
  const f = library.define({ name, parameters: inputs.map(({ type }) => type), xla: true, write: (into, refs) => [write(into, refs)] }), before = last()
  return called(body, f, inputs, before ? { control: [before] } : {}).outputs[0]!
}

/** Where a slice begins. */
const startOf = (n: Node, { body, size }: Emit): Ref => {
  const { start } = (n as NodeOf<{ readonly start: readonly Dim[] }>).attributes
  return body.constant(start.reduce<number>((sum, dim) => { const at = size(dim); if (typeof at !== 'number') throw new Error('a layer has a number'); return sum + at }, 0), 'i32')
}

/** A few elementwise ops as one function of floats in f32; its results are stored as they are stored elsewhere. */
const fusedCall = (scope: Scope, block: Block, inputs: readonly Ref[], control: readonly Anchor[]): readonly Ref[] => {
  const { body, writing, precision } = scope
  const inside = (into: Body, parameters: readonly Ref[]): readonly Ref[] => {
    const size = sizesIn(into, name => writing.sizeOf(name) ?? unknownSize(name))
    return lowered(writing.lowerings, block.outputs, new Map(block.parameters.map((p, i) => [p, parameters[i]!])), { body: into, size, compute: 'f32' })
      .map((x, i) => into.cast(x, precision.stored(block.outputs[i]!)))
  }
  if (!writing.xla) return inside(body, inputs)
  const f = writing.library.define({ name: block.name, parameters: inputs.map(({ type }) => type), xla: true, write: inside })
  return called(body, f, inputs, { control }).outputs
}
const unknownSize = (name: string): never => { throw new Error(`a fused block does not know the size of ${name}`) }

const plainCall = ({ body, sizes, writing, precision, readers }: Scope, block: Block, inputs: readonly Ref[]): readonly Ref[] => {
  const f = writing.library.define({
    name: block.name, parameters: [...inputs, ...sizes].map(({ type }) => type),
    write: (into, refs) => {
      const scope = scopeIn(into, refs.slice(inputs.length), writing, precision)
      return write(scope, block.outputs, new Map(block.parameters.map((p, i) => [p, refs[i]!])))
    },
  })
  const made = called(body, f, [...inputs, ...sizes])
  readers.push(made)
  return made.outputs
}

/** What a loop needs to know of the program that it is in. */
interface Surroundings {
  readonly sinks: ReadonlyMap<number, Sink>
  /** The results that one loop alone reads, in the reverse order. */
  readonly piles: ReadonlySet<number>
}

/** For every loop that goes up the layers, what a loop down the same layers reads of it, and nothing else does. */
const pilesIn = (order: readonly Node[], roots: readonly Node[]): ReadonlyMap<Node, ReadonlySet<number>> => {
  const readers = new Map<Node, Node[]>(), found = new Map<Node, Set<number>>()
  for (const n of order) for (const input of n.inputs) readers.set(input, [...(readers.get(input) ?? []), n])
  for (const n of order) {
    const [maker] = n.inputs, [reader, another] = readers.get(n) ?? []
    if (!is(n, resultOp) || !maker || !is(maker, loopOp) || maker.attributes.reverse || carriedOutputs(maker.attributes).has(n.attributes.index)) continue
    if (!reader || another || roots.includes(n) || !is(reader, loopOp) || !reader.attributes.reverse || reader.attributes.count !== maker.attributes.count) continue
    const at = reader.inputs.indexOf(n)
    if (reader.inputs.lastIndexOf(n) === at && reader.attributes.feeds[at]!.kind === 'layered') found.set(maker, (found.get(maker) ?? new Set()).add(n.attributes.index))
  }
  return found
}

/** What a loop's parameter is fed from. */
interface Source { readonly kind: 'carried' | 'shared' | 'list' | 'pile' | 'resource'; readonly parameter: Node; readonly input: Ref; readonly stack: Stack | undefined }

/**
 * A loop as a While whose body only calls one function, that of a layer: ops placed in a While directly run at half the speed.
 * Stacks that are variables are read within that function, those that other loops made are lists.
 */
const loop = (scope: Scope, n: NodeOf<Loop>, inputs: readonly Ref[], { sinks, piles }: Surroundings): readonly Ref[] => {
  const { body, sizes, writing, precision, stacks, readers } = scope, { block, feeds, count, reverse } = n.attributes
  const carried = carriedOutputs(n.attributes), { library } = writing
  const sources = block.parameters.map((parameter, i): Source => {
    const kind = feeds[i]!.kind, given = inputs[i]!
    if (kind !== 'layered') return { kind, parameter, input: kind === 'carried' ? body.cast(materialised(scope, given), precision.stored(parameter)) : materialised(scope, given), stack: undefined }
    const input = asList(scope, given, n.inputs[i]!), stack = stacks.get(input.text)!
    return { kind: stack.list ? 'list' : stack.pile ? 'pile' : 'resource', parameter, input, stack }
  })
  const of = (kind: Source['kind']): readonly Source[] => sources.filter(source => source.kind === kind)
  const turning = [...of('carried'), ...of('list'), ...of('pile'), ...of('shared')]
  const collected = block.outputs.flatMap((output, k) => (carried.has(k) || sinks.has(k) ? [] : [{ k, type: precision.stored(output) }]))

  const elementType = ({ kind, input, stack }: Source): GraphType => (kind === 'list' || kind === 'pile' ? stack!.element : input.type)
  const layer = library.define({
    name: block.name, parameters: ['i32', ...turning.map(elementType), ...sizes.map(({ type }) => type)],
    write: (into, [at, ...refs]) => {
      const inner = scopeIn(into, refs.slice(turning.length), writing, precision)
      const given = new Map(turning.map(({ parameter }, i) => [parameter, refs[i]!]))
      for (const { parameter, stack } of of('resource')) given.set(parameter, elementOf(inner, stack!, at!))
      const replacements = [...sinks].map(([k, { resource, from }]): Replacement => {
        const leaf = sources.find(({ stack }) => stack?.resource?.name === resource.name)?.parameter
        return { resource, leaf: leaf ?? block.outputs[k]!, output: block.outputs[k]!, layer: from === 0 ? at! : into.apply('AddV2', [at!, into.constant(from, 'i32')]) }
      })
      return replacing(inner, block.outputs.filter((_, k) => !sinks.has(k)), replacements, given)
    },
  })
  // the block's outputs that a call returns, in order
  const returned = block.outputs.flatMap((_, k) => (sinks.has(k) ? [] : [k]))
  const lists = collected.map(({ k, type }) => (piles.has(k)
    ? body.apply('StackV2', [body.constant(-1, 'i32')], { elem_type: { type } })
    : body.apply('TensorListReserve', [anyShape(body), body.constant(count, 'i32')], { element_dtype: { type } })))
  const state = [body.constant(0, 'i32'), ...turning.map(({ input }) => input), ...sizes, ...lists], types = state.map(({ type }) => type)
  const condition = library.define({ name: 'turnsLeft', parameters: types, write: (into, [i]) => [into.apply('Less', [i!, into.constant(count, 'i32')])] })
  const turn = library.define({
    name: `${block.name}.turn`, parameters: types,
    write: (into, [i, ...rest]) => {
      const at = reverse ? into.apply('Sub', [into.constant(count - 1, 'i32'), i!]) : i!
      const given = rest.slice(0, turning.length), ownSizes = rest.slice(turning.length, turning.length + sizes.length), own = rest.slice(turning.length + sizes.length)
      const items = turning.map(({ kind, stack }, k) => (kind === 'list' || kind === 'pile' ? elementOf(scopeIn(into, [], writing, precision), { element: stack!.element, [kind]: given[k]! }, at) : given[k]!))
      const made = called(into, layer, [at, ...items, ...ownSizes]).outputs
      const next = turning.map(({ kind, parameter }, k) => {
        const feed = feeds[block.parameters.indexOf(parameter)]!
        if (kind === 'carried' && feed.kind === 'carried') return made[returned.indexOf(feed.output)]!
        return given[k]!
      })
      const filled = collected.map(({ k }, l) => {
        const value = made[returned.indexOf(k)]!
        if (!piles.has(k)) return into.apply('TensorListSetItem', [own[l]!, at, value])
        into.add('StackPushV2', [own[l]!, value])
        return own[l]!
      })
      return [into.apply('AddV2', [i!, into.constant(1, 'i32')]), ...next, ...ownSizes, ...filled]
    },
  })
  // what writes into variables waits for all that reads them
  const made = whileLoop(body, condition, turn, state, sinks.size > 0 ? { control: [...readers] } : {})
  readers.push(made)
  const ended = made.outputs, firstList = 1 + turning.length + sizes.length
  return block.outputs.map((_, k) => {
    const at = collected.findIndex(one => one.k === k)
    if (at >= 0) {
      const list = ended[firstList + at]!
      stacks.set(list.text, { [piles.has(k) ? 'pile' : 'list']: list, element: collected[at]!.type })
      return list
    }
    const feed = turning.findIndex(({ kind, parameter }) => { const f = feeds[block.parameters.indexOf(parameter)]!; return kind === 'carried' && f.kind === 'carried' && f.output === k })
    // what was written in place has no value of its own: the loop stands for it
    return feed >= 0 ? ended[1 + feed]! : ended[0]!
  })
}

/** Rows that a value replaces in a leaf: `put(leaf, index, values)` along the first axis. */
const rowsOf = (output: Node, leaf: Node): { readonly index: Node; readonly values: Node; readonly view: Node } | undefined => {
  const put = is(output, reshapeOp) ? output.inputs[0]! : output
  if (!is(put, putOp) || put.attributes.axis !== 0) return undefined
  const [view, index, values] = put.inputs as [Node, Node, Node]
  return (is(view, reshapeOp) ? view.inputs[0] : view) === leaf ? { index, values, view } : undefined
}

/** A variable with what replaces it, in terms of the leaf, or of the layer's leaf, that it holds. */
export interface Replacement { readonly resource: Resource; readonly leaf: Node; readonly output: Node; readonly layer?: Ref | undefined }

/**
 * Writes expressions, and then replaces variables, or one layer of each, where they lie: only the rows that change, where a
 * replacement says which. Returns the values of the roots.
 */
export const replacing = (scope: Scope, roots: readonly Node[], replacements: readonly Replacement[], given: ReadonlyMap<Node, Ref>, sinks?: Sinks): readonly Ref[] => {
  const { body, readers } = scope, size = sizeIn(scope)
  const targets = replacements.map(({ resource, leaf, output, layer }) => ({ resource, output, layer, rows: rowsOf(output, leaf) }))
  const values = targets.map(({ output, rows }) => rows?.values ?? output), indices = targets.flatMap(({ rows }) => rows?.index ?? [])
  const refs = write(scope, [...roots, ...values, ...indices], given, sinks), before = [...readers]
  let next = roots.length + values.length
  targets.forEach(({ resource, rows, layer: at }, i) => {
    const value = refs[roots.length + i]!
    if (rows === undefined) {
      if (at) writeLayer(body, resource, at, value, before)
      else assignAll(body, resource, value, before)
      return
    }
    const index = refs[next++]!, height = size(rows.view.shape[0]!)
    const first = at && body.apply('Mul', [at, typeof height === 'number' ? body.constant(height, 'i32') : height])
    writeRows(body, resource, first ? body.apply('AddV2', [index, first]) : index, value, before)
  })
  return refs.slice(0, roots.length)
}

/** Rows in pieces, as a While whose body only calls a function. Sums over the pieces are in f32. */
const chunk = (scope: Scope, n: NodeOf<Chunk>, inputs: readonly Ref[], sinks: ReadonlyMap<number, Sink>): readonly Ref[] => {
  const { body, sizes, writing, precision, readers } = scope, { block, dim, rows, inputs: axes, outputs } = n.attributes, { library } = writing
  const total = sizeRef(body, sizeIn(scope)(dim)), count = inputs.length, own = count + sizes.length
  const piece = library.define({
    name: block.name, parameters: ['i32', 'i32', ...inputs.map(({ type }) => type), ...sizes.map(({ type }) => type)],
    write: (into, [from, all, ...refs]) => {
      const length = into.apply('Minimum', [into.constant(rows, 'i32'), into.apply('Sub', [all!, from!])])
      const inner = scopeIn(into, [...refs.slice(count), length], { ...writing, dynamic: [...writing.dynamic, pieceDim] }, precision)
      const given = block.parameters.map((p, i): readonly [Node, Ref] => {
        const axis = axes[i], along = (at: Ref, elsewhere: number): Ref => into.apply('Pack', p.shape.map((_, k) => (k === axis ? at : into.constant(elsewhere, 'i32'))))
        return [p, axis === undefined ? refs[i]! : into.apply('Slice', [refs[i]!, along(from!, 0), along(length, -1)])]
      })
      const made = write(inner, block.outputs, new Map(given)), before = [...inner.readers]
      for (const [k, { resource }] of sinks) {
        const places = into.apply('Range', [from!, into.apply('AddV2', [from!, length]), into.constant(1, 'i32')])
        into.add('InplaceUpdate', [readAll(into, resource), places, into.cast(made[k]!, resource.type)], {}, { control: before })
      }
      // what is written to its place is not collected
      return made.map((x, k) => (sinks.has(k) ? into.constant(0, 'f32') : outputs[k]!.kind === 'sum' ? into.cast(x, 'f32') : swapped(into, x, block.outputs[k]!.shape.length, outputs[k]!)))
    },
  })
  const isRows = (k: number): boolean => outputs[k]!.kind === 'rows' && !sinks.has(k)
  const starts = outputs.map((_, k) => (sinks.has(k) ? body.constant(0, 'f32') : isRows(k)
    ? body.apply('EmptyTensorList', [anyShape(body), body.constant(-1, 'i32')], { element_dtype: { type: piece.results[k]! } })
    : body.apply('Fill', [shapeOf(block.outputs[k]!.shape, { body, size: sizeIn(scope) }), body.constant(0, 'f32')])))
  const state = [body.constant(0, 'i32'), total, ...inputs, ...sizes, ...starts], types = state.map(({ type }) => type)
  const condition = library.define({ name: 'rowsLeft', parameters: types, write: (into, [from, all]) => [into.apply('Less', [from!, all!])] })
  const turn = library.define({
    name: `${block.name}.turn`, parameters: types,
    write: (into, [from, all, ...rest]) => {
      const made = called(into, piece, [from!, all!, ...rest.slice(0, own)]).outputs
      const next = outputs.map((_, k) => into.apply(isRows(k) ? 'TensorListPushBack' : 'AddV2', [rest[own + k]!, made[k]!]))
      return [into.apply('AddV2', [from!, into.constant(rows, 'i32')]), all!, ...rest.slice(0, own), ...next]
    },
  })
  const made = whileLoop(body, condition, turn, state, sinks.size > 0 ? { control: [...readers] } : {})
  readers.push(made)
  return outputs.map((output, k) => {
    const result = made.outputs[2 + own + k]!
    if (sinks.has(k)) return result
    if (output.kind === 'sum') return body.cast(result, precision.stored(block.outputs[k]!))
    const leading = body.constant([], 'i64'), whole = body.add('TensorListConcatV2', [result, anyShape(body), leading], { element_dtype: { type: piece.results[k]! } }).outputs[0]!
    return swapped(body, whole, block.outputs[k]!.shape.length, output)
  })
}

/** The axis of the rows in the place of the first. */
const swapped = (body: Body, x: Ref, rank: number, output: Whole): Ref => {
  if (output.kind === 'sum' || output.axis === 0) return x
  return body.apply('Transpose', [x, body.constant(Array.from({ length: rank }, (_, i) => (i === output.axis ? 0 : i === 0 ? output.axis : i)), 'i32')])
}

/** The sizes of names in a program's dims, for reports. */
export const namesIn = (nodes: readonly Node[]): readonly string[] =>
  [...new Set(topological(nodes).flatMap(n => n.shape.flatMap(dim => factors(dim).filter(factor => typeof factor === 'string'))))]
