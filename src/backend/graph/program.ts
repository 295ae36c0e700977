import { chunkOp } from '../../compile/index.ts'
import {
  blockOf,
  contractOp,
  is,
  loopOp,
  placeholderOp,
  sliceOp,
  topological,
  type Block,
  type Node,
} from '../../tensor/index.ts'
import type { Anchor, Body, Ref } from './body.ts'
import { writtenChunk } from './chunk.ts'
import { handleOf } from './held.ts'
import { after, called } from './library.ts'
import { pilesIn, writtenLoop } from './loop.ts'
import { lowered, type Emit, type GraphLowering, type Kernel, type Place } from './lowering.ts'
import { replacingWith } from './replace.ts'
import { elementOf, leaving, materialised, scopeIn, sizeIn, type Scope, type Write } from './scope.ts'
import { sizesIn } from './sizes.ts'

/**
 * Writes expressions into a scope, given the values of some nodes, and returns the values of the roots, each in the
 * type in which a value of its kind is stored.
 */
export const write: Write = (scope, roots, given, sinks = new Map()) => {
  const { body, writing, precision, stacks, readers } = scope
  const known = new Map(given)
  const order = topological(roots)
  const piles = pilesIn(order, roots)
  for (const n of order) {
    const resource = is(n, placeholderOp) && !known.has(n) ? writing.resourceOf(n) : undefined
    if (resource === undefined) continue
    const handle = handleOf(body, resource)
    stacks.set(handle.text, { resource, element: resource.type })
    known.set(n, handle)
  }
  const late = followingFrom(order, scope.carried)
  let product: Anchor | undefined
  let gate: Anchor | undefined
  /**
   * Makes a computation wait for the product before it if it could run early although its result is needed late, such
   * as a recomputation in a backward pass.
   */
  const passGate = (n: Node): void => {
    gate = scope.carried && !late.has(n) ? product : undefined
  }
  const gated = (inputs: readonly Ref[]): readonly Ref[] =>
    gate && inputs[0] ? [after(body, inputs[0], [gate]), ...inputs.slice(1)] : inputs
  const kept = (n: Node, x: Ref): Ref => body.cast(x, precision.stored(n))
  const storing =
    (lowering: GraphLowering): GraphLowering =>
    (n, inputs, emit) => {
      if (is(n, placeholderOp)) return lowering(n, inputs, emit)
      const [stack] = inputs
      const single = stack && stacks.get(stack.text)
      const first = single && firstOf(n, emit)
      if (first !== undefined && n.shape[0] === 1 && n.inputs[0]!.shape[0] !== 1) {
        return body.apply('ExpandDims', [
          elementOf(scope, single!, body.constant(first, 'i32')),
          body.constant(0, 'i32'),
        ])
      }
      const tensors = inputs.map(x => materialised(scope, x))
      const isProduct = is(n, contractOp)
      passGate(n)
      const result = lowering(n, isProduct ? gated(tensors) : tensors, {
        ...emit,
        valueOf: other => {
          const x = emit.valueOf(other)
          return x && materialised(scope, x)
        },
      })
      if (isProduct && gate === undefined) product = result
      const value = kept(n, result)
      // adjacent layers: loops read them in place
      if (first !== undefined && !single!.pile)
        stacks.set(value.text, { ...single!, from: (single!.from ?? 0) + first })
      return value
    }
  const place: Place = {
    body,
    size: sizeIn(scope),
    compute: precision.compute,
    around: storing,
    ...(writing.xla ? { kernel: kernelIn(scope, () => gate) } : {}),
  }
  const results = lowered(writing.lowerings, roots, known, place, (n, inputs) => {
    const block = blockOf(n)
    passGate(n)
    if (block?.fused)
      return fusedCall(
        scope,
        block,
        inputs.map(x => materialised(scope, x)),
        gate ? [gate] : [],
      )
    if (block)
      return plainCall(
        scope,
        block,
        inputs.map(x => materialised(scope, x)),
      )
    if (is(n, chunkOp))
      return writtenChunk(
        write,
        scope,
        n,
        inputs.map(x => materialised(scope, x)),
        sinks.get(n) ?? new Map(),
      )
    if (is(n, loopOp))
      return writtenLoop(write, scope, n, inputs, {
        sinks: sinks.get(n) ?? new Map(),
        piles: piles.get(n) ?? new Set(),
      })
    return undefined
  })
  readers.push(...results)
  return results
}

/** All nodes that depend on some nodes. */
const followingFrom = (order: readonly Node[], sources: ReadonlySet<Node> = new Set()): ReadonlySet<Node> => {
  const found = new Set(sources)
  for (const n of order) if (n.inputs.some(input => found.has(input))) found.add(n)
  return found
}

/** Writes a few ops as one function for XLA to compile, which waits for the given node. */
const kernelIn =
  ({ body, writing: { library } }: Scope, last: () => Anchor | undefined): Kernel =>
  (name, inputs, write) => {
    const f = library.define({
      name,
      parameters: inputs.map(({ type }) => type),
      xla: true,
      write: (into, refs) => [write(into, refs)],
    })
    const before = last()
    return called(body, f, inputs, before ? { control: [before] } : {}).outputs[0]!
  }

/** The number of the first layer in a slice, if it is known when the program is written. */
const firstOf = (n: Node, { size }: Emit): number | undefined => {
  if (!is(n, sliceOp) || n.attributes.axis !== 0) return undefined
  const sizes = n.attributes.start.map(size)
  const known = sizes.filter(at => typeof at === 'number')
  return known.length === sizes.length ? known.reduce((sum, at) => sum + at, 0) : undefined
}

/** Tests for blocks of a few numbers, which TensorFlow computes one by one before it has called what XLA compiled. */
const isTiny = ({ parameters, outputs }: Block): boolean =>
  [...parameters, ...outputs].every(({ shape }) => shape.length === 0)

/** Writes a few elementwise ops as one function of floats in f32; its results are stored like any others. */
const fusedCall = (scope: Scope, block: Block, inputs: readonly Ref[], control: readonly Anchor[]): readonly Ref[] => {
  const { body, writing, precision } = scope
  const compiled = writing.xla && !isTiny(block)
  const inside = (into: Body, parameters: readonly Ref[]): readonly Ref[] => {
    const size = sizesIn(into, name => writing.sizeOf(name) ?? unknownSize(name))
    return lowered(writing.lowerings, block.outputs, new Map(block.parameters.map((p, i) => [p, parameters[i]!])), {
      body: into,
      size,
      compute: 'f32',
      compiled,
    }).map((x, i) => into.cast(x, precision.stored(block.outputs[i]!)))
  }
  if (!compiled) return inside(body, inputs)
  const f = writing.library.define({
    name: block.name,
    parameters: inputs.map(({ type }) => type),
    xla: true,
    write: inside,
  })
  return called(body, f, inputs, { control }).outputs
}
const unknownSize = (name: string): never => {
  throw new Error(`a fused block does not know the size of ${name}`)
}

const plainCall = (
  { body, sizes, writing, precision, readers }: Scope,
  block: Block,
  inputs: readonly Ref[],
): readonly Ref[] => {
  const f = writing.library.define({
    name: block.name,
    parameters: [...inputs, ...sizes].map(({ type }) => type),
    write: (into, refs) => {
      const scope = scopeIn(into, refs.slice(inputs.length), writing, precision)
      const given = new Map(block.parameters.map((p, i) => [p, refs[i]!]))
      return leaving(scope, block.outputs, write(scope, block.outputs, given))
    },
  })
  const made = called(body, f, [...inputs, ...sizes])
  readers.push(made)
  return made.outputs
}

/** Writes expressions, and then replaces variables in place. */
export const replacing = replacingWith(write)
