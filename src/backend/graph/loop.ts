import { carriedOutputs, is, loopOp, resultOp, type Loop, type Node, type NodeOf } from '../../tensor/index.ts'
import type { Ref } from './body.ts'
import { called, whileLoop } from './library.ts'
import { replacingWith, type Replacement } from './replace.ts'
import {
  anyShape,
  asList,
  elementOf,
  leaving,
  materialised,
  scopeIn,
  sizeIn,
  type Scope,
  type Sink,
  type Stack,
  type Write,
} from './scope.ts'
import { sizeRef } from './sizes.ts'
import type { GraphType } from './types.ts'

/** The facts about the program around a loop. */
export interface Surroundings {
  readonly sinks: ReadonlyMap<number, Sink>
  /** The results that only one loop reads, in reverse order. */
  readonly piles: ReadonlySet<number>
}

/** For every loop that goes up the layers, the results that only a loop down the same layers reads. */
export const pilesIn = (order: readonly Node[], roots: readonly Node[]): ReadonlyMap<Node, ReadonlySet<number>> => {
  const readers = new Map<Node, Node[]>()
  const found = new Map<Node, Set<number>>()
  for (const n of order) for (const input of n.inputs) readers.set(input, [...(readers.get(input) ?? []), n])
  for (const n of order) {
    const [maker] = n.inputs
    const [reader, another] = readers.get(n) ?? []
    if (
      !is(n, resultOp) ||
      !maker ||
      !is(maker, loopOp) ||
      maker.attributes.reverse ||
      carriedOutputs(maker.attributes).has(n.attributes.index)
    )
      continue
    if (
      !reader ||
      another ||
      roots.includes(n) ||
      !is(reader, loopOp) ||
      !reader.attributes.reverse ||
      reader.attributes.count !== maker.attributes.count
    )
      continue
    const at = reader.inputs.indexOf(n)
    if (reader.inputs.lastIndexOf(n) === at && reader.attributes.feeds[at]!.kind === 'layered')
      found.set(maker, (found.get(maker) ?? new Set()).add(n.attributes.index))
  }
  return found
}

/** The source of a loop's parameter. */
interface Source {
  readonly kind: 'carried' | 'shared' | 'list' | 'pile' | 'resource'
  readonly parameter: Node
  readonly input: Ref
  readonly stack: Stack | undefined
}

/**
 * Writes a loop as a While whose body only calls one function, that of a layer: ops placed directly in a While run at
 * half the speed. Stacks that are variables are read within that function; the results of other loops are lists.
 */
export const writtenLoop = (
  write: Write,
  scope: Scope,
  n: NodeOf<Loop>,
  inputs: readonly Ref[],
  { sinks, piles }: Surroundings,
): readonly Ref[] => {
  const { body, sizes, precision, stacks, readers } = scope
  const { block, feeds, count, reverse } = n.attributes
  // a step of time has small tensors: to start a kernel of XLA for them takes longer than to run their ops
  const writing = typeof count === 'number' ? scope.writing : { ...scope.writing, xla: false }
  const carried = carriedOutputs(n.attributes)
  const { library } = writing
  const sources = block.parameters.map((parameter, i): Source => {
    const kind = feeds[i]!.kind
    const given = inputs[i]!
    if (kind !== 'layered') {
      const tensor = materialised(scope, given)
      return {
        kind,
        parameter,
        input: kind === 'carried' ? body.cast(tensor, precision.stored(parameter)) : tensor,
        stack: undefined,
      }
    }
    const input = asList(scope, given, n.inputs[i]!)
    const stack = stacks.get(input.text)!
    return {
      kind: stack.list ? 'list' : stack.pile ? 'pile' : 'resource',
      parameter,
      input: stack.list ?? stack.pile ?? input,
      stack,
    }
  })
  const of = (kind: Source['kind']): readonly Source[] => sources.filter(source => source.kind === kind)
  const turning = [...of('carried'), ...of('list'), ...of('pile'), ...of('shared')]
  const collected = block.outputs.flatMap((output, k) =>
    carried.has(k) || sinks.has(k) ? [] : [{ k, type: precision.stored(output) }],
  )

  /** The output that a carried parameter receives in the next turn. */
  const carriedFrom = ({ parameter }: Source): number | undefined => {
    const feed = feeds[block.parameters.indexOf(parameter)]!
    return feed.kind === 'carried' ? feed.output : undefined
  }
  const elementType = ({ kind, input, stack }: Source): GraphType =>
    kind === 'list' || kind === 'pile' ? stack!.element : input.type
  const layer = library.define({
    name: block.name,
    parameters: ['i32', ...turning.map(elementType), ...sizes.map(({ type }) => type)],
    write: (into, [at, ...refs]) => {
      const inner: Scope = {
        ...scopeIn(into, refs.slice(turning.length), writing, precision),
        carried: new Set(of('carried').map(({ parameter }) => parameter)),
      }
      const given = new Map(turning.map(({ parameter }, i) => [parameter, refs[i]!]))
      for (const { parameter, stack } of of('resource')) given.set(parameter, elementOf(inner, stack!, at!))
      const replacements = [...sinks].map(([k, { resource, from }]): Replacement => {
        const output = block.outputs[k]!
        const layer = from === 0 ? at! : into.apply('AddV2', [at!, into.constant(from, 'i32')])
        // the leaf of the same layer, if only some of its rows change
        const leaf = sources.find(
          ({ stack }) => stack?.resource?.name === resource.name && (stack.from ?? 0) === from,
        )?.parameter
        return { resource, leaf: leaf ?? output, output, layer }
      })
      const outputs = block.outputs.filter((_, k) => !sinks.has(k))
      return leaving(inner, outputs, replacingWith(write)(inner, outputs, replacements, given))
    },
  })
  /** The number of turns; a loop over layers knows it when the program is written. */
  const countIn = (of: Scope): Ref => sizeRef(of.body, sizeIn(of)(count))
  /** The number of the last turn. */
  const lastIn = (of: Scope): Ref => {
    const turns = sizeIn(of)(count)
    return typeof turns === 'number'
      ? of.body.constant(turns - 1, 'i32')
      : of.body.apply('Sub', [turns, of.body.constant(1, 'i32')])
  }
  // the block's outputs that the call returns, in order
  const returned = block.outputs.flatMap((_, k) => (sinks.has(k) ? [] : [k]))
  const lists = collected.map(({ k, type }) =>
    piles.has(k)
      ? body.apply('StackV2', [body.constant(-1, 'i32')], { elem_type: { type } })
      : body.apply('TensorListReserve', [anyShape(body), countIn(scope)], { element_dtype: { type } }),
  )
  const state = [body.constant(0, 'i32'), ...turning.map(({ input }) => input), ...sizes, ...lists]
  const types = state.map(({ type }) => type)
  const sizesAmong = (rest: readonly Ref[]): readonly Ref[] => rest.slice(turning.length, turning.length + sizes.length)
  const condition = library.define({
    name: 'turnsLeft',
    parameters: types,
    write: (into, [i, ...rest]) => [
      into.apply('Less', [i!, countIn(scopeIn(into, sizesAmong(rest), writing, precision))]),
    ],
  })
  const turn = library.define({
    name: `${block.name}.turn`,
    parameters: types,
    write: (into, [i, ...rest]) => {
      const inner = scopeIn(into, sizesAmong(rest), writing, precision)
      const at = reverse ? into.apply('Sub', [lastIn(inner), i!]) : i!
      const given = rest.slice(0, turning.length)
      const own = rest.slice(turning.length + sizes.length)
      const ownSizes = sizesAmong(rest)
      const items = turning.map(({ kind, stack }, k) =>
        kind === 'list' || kind === 'pile' ? elementOf(inner, { ...stack!, [kind]: given[k]! }, at) : given[k]!,
      )
      const made = called(into, layer, [at, ...items, ...ownSizes]).outputs
      const next = turning.map((source, k) => {
        const output = carriedFrom(source)
        return output === undefined ? given[k]! : made[returned.indexOf(output)]!
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
  // writing to variables waits for everything that reads them
  const made = whileLoop(body, condition, turn, state, sinks.size > 0 ? { control: [...readers] } : {})
  readers.push(made)
  const ended = made.outputs
  const firstList = 1 + turning.length + sizes.length
  return block.outputs.map((_, k) => {
    const at = collected.findIndex(one => one.k === k)
    if (at >= 0) {
      const list = ended[firstList + at]!
      stacks.set(list.text, { [piles.has(k) ? 'pile' : 'list']: list, element: collected[at]!.type })
      return list
    }
    const feed = turning.findIndex(source => carriedFrom(source) === k)
    // an output that was written in place has no value of its own: the loop stands for it
    return feed >= 0 ? ended[1 + feed]! : ended[0]!
  })
}
