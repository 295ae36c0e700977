import {
  bodyOf,
  bytesPerElement,
  count,
  is,
  loopOp,
  reshapeOp,
  resultOp,
  takeOp,
  topological,
  type Block,
  type Node,
} from '../tensor/index.ts'
import { bytesText } from '../text/index.ts'
import { bindDims, given, sizing } from './bind.ts'
import { callsOf } from './blocks.ts'
import { courseOf, type Course } from './course.ts'
import { equationsOf, type Equations } from './equations.ts'
import { flopsOf } from './flops.ts'
import { footprintOf } from './footprint.ts'
import { blockNames, commonPath, describe } from './print.ts'
import type { CompilerOptions, Program, Traits } from './pipeline.ts'
import { programsOf, type Programs, type Size } from './step-programs.ts'
import type { Step } from './step.ts'

/** A value that lives from the forward to the backward pass of a layer. */
export interface Kept {
  /** The value as an expression of the layer's own values. */
  readonly what: string
  readonly shape: readonly (string | number)[]
  readonly bytes: number
  /** The trained leaf for whose columns this part of an activation is kept, if the activation itself is not kept. */
  readonly columnsOf: string | undefined
}

/** The layers that share one block, and the values that each of them keeps. */
export interface KeptByLayer {
  readonly layer: string
  readonly layers: number
  readonly kept: readonly Kept[]
  readonly bytes: number
}

/** The bytes that a plan holds, with weights and state, and the operations of its loss and gradients. */
export interface Planned {
  readonly total: number
  readonly flops: number
}

/** The bytes that a step keeps and holds, known before it runs. */
export interface Explanation {
  readonly trainable: number
  /** The parameters of the model, without those that a method adds. */
  readonly parameters: number
  readonly layers: readonly KeptByLayer[]
  /** Bytes of the parameters and of the optimizer's state. */
  readonly weights: number
  readonly state: number
  /** Bytes that live from the forward to the backward pass, in all layers together. */
  readonly saved: number
  /** The most bytes that the gradient program holds in addition to its inputs. */
  readonly peak: number
  /** The floating-point operations of the step's loss and gradients. */
  readonly flops: number
  /** The limits on recomputation, as `recompute` takes them, at which the step has another plan. */
  readonly limits: readonly number[]
  /** The plan that recomputes nothing, if the step was to recompute or to fit a budget. */
  readonly instead?: Planned
  /** The buffers of the model and their bytes, if it has any: they are among what a step holds. */
  readonly buffers?: { readonly paths: readonly string[]; readonly bytes: number }
  /** The memory from the beginning to the end of the gradient program, if asked for and if the target runs plans. */
  readonly course?: Course
  /** The expressions of a layer, if asked for. */
  readonly equations?: Equations
  /** The bytes that the runtimes hold before a step, if measured. */
  readonly before?: number
}

/** The figures of a target that stores values in its own way, and runs programs in its own order. */
export interface Stored {
  readonly bytes: (n: Node) => number
  readonly weights: number
  readonly state: number
  readonly peak: number
  /** The program of gradients, if it is made already. */
  readonly program?: Program
}

/**
 * Explains a step before it runs, without weights: the values that each layer keeps for its backward pass, and the most
 * that a step holds.
 * @throws {DimsError} if a dim has no size
 * @example explanationText(explain(step, { dims: { batch: 2, seq: 256 } }))
 */
export const explain = <P, Q, M, S, B, O, K extends string>(
  step: Step<P, Q, M, S, B, O, K>,
  {
    dims,
    detailed,
    ...options
  }: { readonly dims: Readonly<Record<string, number>>; readonly detailed?: boolean } & CompilerOptions &
    Partial<Traits>,
): Explanation => {
  const { model } = step.tuned
  const environment = bindDims([...given('the model', model.dims ?? {}), ...given('dims', dims)])
  const size = sizing(environment, model.capacities)
  const programs = programsOf(step, { layOut: true, runs: () => true, inPlace: new Map(), ...options })
  const explanation = explainPrograms(programs, size)
  if (detailed !== true) return explanation
  const { plan, outputs } = programs.gradients(size)
  return {
    ...explanation,
    course: courseOf(plan, outputs.length - programs.trained.length),
    ...equationsFor(step, size),
  }
}

/** The expressions of a layer of a step, as no target has changed them; nothing if the model has no layers. */
export const equationsFor = <P, Q, M, S, B, O, K extends string>(
  step: Step<P, Q, M, S, B, O, K>,
  size: Size,
): Pick<Explanation, 'equations'> => {
  const found = equationsOf(
    without => programsOf(step, { layOut: false, runs: () => true, inPlace: new Map(), without }),
    size,
  )
  return found === undefined ? {} : { equations: found }
}

/** The same from existing programs. */
export const explainPrograms = (programs: Programs, size: Size, stored?: Stored): Explanation => {
  const program = stored?.program ?? programs.gradients(size)
  const bytesOf = stored?.bytes ?? ((n: Node): number => count(n.shape.map(size)) * bytesPerElement[n.dtype])
  const elements = (nodes: readonly Node[]): number => nodes.reduce((sum, n) => sum + count(n.shape.map(size)), 0)
  const layers = keptResults(program).map(({ block, calls, indices }): KeptByLayer => {
    const names = new Map([...blockNames(block, calls, programs.names), [block.parameters[0]!, 'x']])
    const selected = blockNames(block, calls, programs.selected)
    const whole = new Set(indices.map(i => withoutReshapes(block.outputs[i]!)))
    const kept = indices.map((i): Kept => {
      const value = block.outputs[i]!
      const taken = withoutReshapes(value)
      const source = is(taken, takeOp) ? withoutReshapes(taken.inputs[0]!) : undefined
      const index = source && !whole.has(source) ? taken.inputs[1] : undefined
      return {
        what: describe(value, names),
        shape: value.shape,
        bytes: bytesOf(value),
        columnsOf: index && selected.get(index),
      }
    })
    return {
      layer: commonPath([...blockNames(block, calls, programs.names).values()]),
      layers: calls.reduce((sum, call) => sum + (is(call, loopOp) ? size(call.attributes.count) : 1), 0),
      kept,
      bytes: kept.reduce((sum, k) => sum + k.bytes, 0),
    }
  })
  const total = (leaves: readonly (readonly [string, Node])[]): number =>
    leaves.reduce((sum, [, leaf]) => sum + bytesOf(leaf), 0)
  const { buffers } = programs
  return {
    ...(buffers.length === 0 ? {} : { buffers: { paths: buffers.map(([path]) => path), bytes: total(buffers) } }),
    weights: stored?.weights ?? total(programs.params),
    state: stored?.state ?? total(programs.state),
    trainable: elements(programs.trained.map(({ part }) => part)),
    parameters: elements(programs.base.map(([, leaf]) => leaf)),
    layers,
    saved: layers.reduce((sum, layer) => sum + layer.layers * layer.bytes, 0),
    peak: stored?.peak ?? footprintOf(program.plan).peak,
    flops: flopsOf(program.outputs, size),
    limits: program.limits,
  }
}

/** The bytes that an explained step holds in all, and its operations. */
export const plannedIn = ({ weights, state, peak, flops }: Explanation): Planned => ({
  total: weights + state + peak,
  flops,
})

const withoutReshapes = (n: Node): Node => (is(n, reshapeOp) ? withoutReshapes(n.inputs[0]!) : n)

/** For every block that has a backward block, the results that the backward pass reads. */
const keptResults = ({
  outputs,
}: Program): readonly {
  readonly block: Block
  readonly calls: readonly Node[]
  readonly indices: readonly number[]
}[] => {
  const read = new Map<Node, Set<number>>()
  for (const n of topological(outputs)) {
    if (!bodyOf(n)?.name.endsWith('.backward')) continue
    for (const input of n.inputs) {
      if (!is(input, resultOp)) continue
      const call = input.inputs[0]!
      const indices = read.get(call) ?? new Set<number>()
      if (bodyOf(call)?.name.endsWith('.forward')) read.set(call, indices.add(input.attributes.index))
    }
  }
  return [...callsOf(outputs)].flatMap(([block, calls]) => {
    const indices = new Set(calls.flatMap(call => [...(read.get(call) ?? [])]))
    return indices.size === 0 ? [] : [{ block, calls, indices: [...indices].sort((a, b) => a - b) }]
  })
}

/** Operations in a readable form. @example operations(1.2e9) // 1.2 GFLOP */
const operations = (flops: number): string => {
  const [unit, of] =
    flops >= 1e12 ? (['T', 1e12] as const) : flops >= 1e9 ? (['G', 1e9] as const) : (['M', 1e6] as const)
  return `${(flops / of).toFixed(flops < 10 * of ? 2 : 1)} ${unit}FLOP`
}

/**
 * The cost and the saving of recomputation, in words.
 * @example recomputation(plan, without) // recomputes 1.20 GFLOP a step (4.0 %) to hold 703.0 MB instead of 897.0 MB
 */
export const recomputation = (plan: Planned, instead: Planned): string =>
  plan.flops <= instead.flops
    ? `recomputes nothing, and holds ${bytesText(plan.total)}`
    : `recomputes ${operations(plan.flops - instead.flops)} a step (${((100 * (plan.flops - instead.flops)) / instead.flops).toFixed(1)} %) ` +
      `to hold ${bytesText(plan.total)} instead of ${bytesText(instead.total)}`

/** The explanation as text, one line per value. */
export const explanationText = (explanation: Explanation): string => {
  const { trainable, parameters, layers, saved, peak, weights, state, flops, instead, buffers, before } = explanation
  return [
    `trained: ${trainable.toLocaleString('en')} of ${parameters.toLocaleString('en')} parameters`,
    ...layers.flatMap(({ layer, layers: n, kept, bytes }) => [
      '',
      `${layer}, ${n} ${n === 1 ? 'layer' : 'layers'}, keeps ${bytesText(bytes)} each for its backward pass:`,
      ...kept.map(
        ({ what, shape, bytes: b, columnsOf }) =>
          `  ${bytesText(b).padStart(9)}  [${shape.join(', ')}]  ${columnsOf === undefined ? what : `x[:, columns] of ${columnsOf}; x is not kept: ${what}`}`,
      ),
    ]),
    '',
    `weights ${bytesText(weights)}, optimizer state ${bytesText(state)}`,
    ...(buffers === undefined ? [] : [`buffers ${bytesText(buffers.bytes)}: ${buffers.paths.join(', ')}`]),
    `kept from forward to backward: ${bytesText(saved)}; held at most beside weights and state: ${bytesText(peak)}`,
    `loss and gradients of a step: ${operations(flops)}`,
    ...(instead === undefined ? [] : [`the plan ${recomputation(plannedIn(explanation), instead)}`]),
    ...(before === undefined
      ? []
      : [
          `Node and TensorFlow hold ${bytesText(before)} before the model is loaded: with the above, ${bytesText(before + weights + state + peak)}`,
        ]),
  ].join('\n')
}
