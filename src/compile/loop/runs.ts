import { blockOf, is, placeholder, resultOp, topological, u, type Block, type Node } from '../../tensor/index.ts'

/**
 * Equal leaves of all layers, and all of them together `[layers, …]`: a placeholder in their place, or an expression of
 * them.
 */
export interface Family {
  readonly leaves: readonly Node[]
  readonly stack: Node
}

/** The family of leaves of one shape. @example familyOf(layers.map(layer => layer.mlp.up_proj)) */
export const familyOf = (leaves: readonly Node[]): Family => ({
  leaves,
  stack: placeholder([leaves.length, ...leaves[0]!.shape], leaves[0]!.dtype),
})

/** The family of leaves that a program reads one by one, such as buffers, which a batch brings. */
export const gatheredFamily = (leaves: readonly Node[]): Family => ({
  leaves,
  stack: u.concat(
    leaves.map(leaf => u.reshape(leaf, [1, ...leaf.shape])),
    0,
    leaves.length,
  ),
})

/** A source with a value for every layer: a family, the results of the calls in a run, or their arguments. */
export type Source =
  | { readonly of: 'family'; readonly family: Family }
  | { readonly of: 'output' | 'input'; readonly run: Run; readonly index: number }
/** A value's place in a source: the layer of a family, the turn of a run. */
export interface Place {
  readonly source: Source
  readonly at: number
}

/** The way in which an argument changes from call to call. */
export type Move =
  | { readonly kind: 'carried'; readonly output: number }
  | { readonly kind: 'shared' }
  | { readonly kind: 'layered'; readonly places: readonly Place[] }

/** Consecutive calls of one block that a loop can make: it goes through the layers up or down. */
export interface Run {
  readonly block: Block
  readonly calls: readonly Node[]
  /** The change of each argument; unknown while there is only one call. Places are those of the last call. */
  readonly moves: readonly (Move | undefined)[]
  readonly step: 1 | -1
}
interface Growing extends Run {
  calls: readonly Node[]
  moves: readonly (Move | undefined)[]
  step: 1 | -1
}

export interface Runs {
  readonly runOf: (call: Node) => { readonly run: Run; readonly turn: number } | undefined
  readonly placesOf: (n: Node) => readonly Place[]
  readonly outputOf: (run: Run, index: number) => Source
}

/** The layer of a place. */
export const layerOf = ({ source, at }: Place): number =>
  source.of === 'family' || source.run.step === 1 ? at : source.run.calls.length - 1 - at

/**
 * Finds the calls that loops can make. A call follows another if each of its arguments is a result of the other call,
 * equal to that call's argument, or the next layer of the same source, and if it depends on the run in no other way.
 */
export const findRuns = (roots: readonly Node[], families: readonly Family[]): Runs => {
  const order = topological(roots)
  const runOf = new Map<Node, { readonly run: Growing; readonly turn: number }>()
  const latest = new Map<Block, Growing>()
  // the runs that a value depends on, up to their calls, and the runs that read the results of a run
  const needs = new Map<Node, ReadonlySet<Run>>()
  const readers = new Map<Run, Set<Run>>()
  const known = new Map<Node, Place[]>()
  const sources = new Map<Run, Map<string, Source>>()
  const sourceOf = (run: Run, of: 'input' | 'output', index: number): Source => {
    const own = sources.get(run) ?? new Map<string, Source>()
    const source = own.get(`${of} ${index}`) ?? { of, run, index }
    sources.set(run, own.set(`${of} ${index}`, source))
    return source
  }
  const addPlace = (n: Node, place: Place): void => {
    known.set(n, [...(known.get(n) ?? []), place])
  }
  for (const family of families) {
    const source: Source = { of: 'family', family }
    family.leaves.forEach((leaf, at) => addPlace(leaf, { source, at }))
  }
  const placesOf = (n: Node): readonly Place[] => {
    const made = is(n, resultOp) ? runOf.get(n.inputs[0]!) : undefined
    const places = known.get(n) ?? []
    return made && is(n, resultOp)
      ? [...places, { source: sourceOf(made.run, 'output', n.attributes.index), at: made.turn }]
      : places
  }
  /**
   * A run, and every run that must wait for it: a call may join a run only if it does not wait for it in another way.
   */
  const dependents = (run: Run): ReadonlySet<Run> => {
    const found = new Set([run])
    // the set grows while it is iterated
    for (const one of found) for (const reader of readers.get(one) ?? []) found.add(reader)
    return found
  }
  const moveOf = (
    run: Run,
    step: 1 | -1,
    argument: number,
    call: Node,
    waiting: ReadonlySet<Run>,
  ): Move | undefined => {
    const last = run.calls.at(-1)!
    const before = last.inputs[argument]!
    const now = call.inputs[argument]!
    const decided = run.moves[argument]
    if (is(now, resultOp) && now.inputs[0] === last) {
      const output = now.attributes.index
      return decided === undefined || (decided.kind === 'carried' && decided.output === output)
        ? { kind: 'carried', output }
        : undefined
    }
    if ([...needs.get(now)!].some(one => waiting.has(one))) return undefined
    if (now === before && (decided ?? { kind: 'shared' }).kind === 'shared') return { kind: 'shared' }
    if (decided !== undefined && decided.kind !== 'layered') return undefined
    const earlier = decided?.places ?? placesOf(before)
    const places = placesOf(now).filter(place =>
      earlier.some(({ source, at }) => source === place.source && layerStep(place, at) === step),
    )
    return places.length > 0 ? { kind: 'layered', places } : undefined
  }
  const extended = (run: Growing, call: Node): boolean => {
    const waiting = dependents(run)
    for (const step of run.calls.length > 1 ? [run.step] : ([1, -1] as const)) {
      const moves = call.inputs.map((_, argument) => moveOf(run, step, argument, call, waiting))
      if (moves.includes(undefined)) continue
      // the values of a carried argument at every turn are a source too
      moves.forEach((move, argument) => {
        if (move?.kind !== 'carried') return
        if (run.calls.length === 1)
          addPlace(run.calls[0]!.inputs[argument]!, { source: sourceOf(run, 'input', argument), at: 0 })
        addPlace(call.inputs[argument]!, { source: sourceOf(run, 'input', argument), at: run.calls.length })
      })
      Object.assign(run, { calls: [...run.calls, call], moves, step })
      return true
    }
    return false
  }
  for (const n of order) {
    const inherited = new Set(n.inputs.flatMap(input => [...needs.get(input)!]))
    const block = blockOf(n)
    if (block !== undefined) {
      // the run that the call continues, or else the latest: two runs of one block may alternate in the order of the
      // program
      const before = [
        ...n.inputs.map(input => (is(input, resultOp) ? runOf.get(input.inputs[0]!)?.run : undefined)),
        latest.get(block),
      ]
      const run: Growing = before.find(r => r?.block === block && extended(r, n)) ?? {
        block,
        calls: [n],
        moves: n.inputs.map(() => undefined),
        step: 1,
      }
      latest.set(block, run)
      runOf.set(n, { run, turn: run.calls.length - 1 })
      for (const one of inherited) if (one !== run) readers.set(one, (readers.get(one) ?? new Set()).add(run))
      needs.set(n, new Set([run]))
    } else needs.set(n, inherited)
  }
  return { runOf: call => runOf.get(call), placesOf, outputOf: (run, index) => sourceOf(run, 'output', index) }
}

/** The number of layers between a place and an earlier one of the same source. */
const layerStep = ({ source, at }: Place, earlier: number): number =>
  (at - earlier) * (source.of === 'family' ? 1 : source.run.step)
