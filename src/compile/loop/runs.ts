import { blockOf, is, placeholder, resultOp, topological, type Block, type Node } from '../../tensor/index.ts'

/** Leaves that are alike, layer by layer, and the placeholder `[layers, …]` of all of them together. */
export interface Family {
  readonly leaves: readonly Node[]
  readonly stack: Node
}

/** The family of leaves of one shape. @example familyOf(layers.map(layer => layer.mlp.up_proj)) */
export const familyOf = (leaves: readonly Node[]): Family => ({
  leaves,
  stack: placeholder([leaves.length, ...leaves[0]!.shape], leaves[0]!.dtype),
})

/** What has a value for every layer: a family, what the calls of a run return, or what they were given. */
export type Source =
  | { readonly of: 'family'; readonly family: Family }
  | { readonly of: 'output' | 'input'; readonly run: Run; readonly index: number }
/** A value's place in a source: the layer of a family, the turn of a run. */
export interface Place {
  readonly source: Source
  readonly at: number
}

/** How an argument moves on from call to call. */
export type Move =
  | { readonly kind: 'carried'; readonly output: number }
  | { readonly kind: 'shared' }
  | { readonly kind: 'layered'; readonly places: readonly Place[] }

/** Calls of one block, one after the other, that a loop can make: it steps through the layers up or down. */
export interface Run {
  readonly block: Block
  readonly calls: readonly Node[]
  /** How each argument moves; unknown while there is one call. Places are those of the last call. */
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
 * Finds the calls that loops can make. A call follows another if each of its arguments is a result of that one, the
 * same as for that one, or the next layer of the same source, and if it needs the run in no other way.
 */
export const findRuns = (roots: readonly Node[], families: readonly Family[]): Runs => {
  const order = topological(roots)
  const runOf = new Map<Node, { readonly run: Growing; readonly turn: number }>()
  const latest = new Map<Block, Growing>()
  // the runs that a value follows from, up to their calls, and the runs that read what a run returns
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
   * A run, and every run that must wait for it: what a call joins to a run must not wait for that run in another way.
   */
  const dependents = (run: Run): ReadonlySet<Run> => {
    const found = new Set([run])
    // a set that grows while it is gone through
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
      // what a carried argument was at every turn is a source too
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
      // the run that it goes on from, or else the latest: two runs of one block may take turns in the order of the
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

/** How many layers a place is beyond an earlier one of the same source. */
const layerStep = ({ source, at }: Place, earlier: number): number =>
  (at - earlier) * (source.of === 'family' ? 1 : source.run.step)
