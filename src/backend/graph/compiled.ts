import {
  namesIn,
  programsOf,
  sizing,
  variablesOf,
  wholePrograms,
  type CompilerOptions,
  type Programs,
  type Step,
  type Traits,
  type Variables,
  type WholePrograms,
} from '../../compile/index.ts'
import {
  bodyOf,
  factors,
  placeholderOp,
  resultOp,
  topological,
  type Dim,
  type Environment,
  type Node,
  type Shape,
} from '../../tensor/index.ts'
import { SessionError } from '../device.ts'
import { graphLowerings, isFusible } from './composites.ts'
import { isConvolution } from './convolutions.ts'
import type { Entry } from './entry.ts'
import { graphOf } from './graph.ts'
import type { Precision } from './scope.ts'
import { holdingsOf, type Holdings } from './resources.ts'
import type { FloatType } from './types.ts'

/** The options for compiling a graph. */
export interface GraphOptions {
  /** The type in which frozen weights and activations are stored and multiplied. */
  readonly precision: FloatType
  /** True if XLA compiles elementwise clusters. */
  readonly xla: boolean
}

/** A step as a graph that is not loaded yet: pure data. */
export interface Compiled {
  readonly programs: Programs
  readonly variables: Variables
  readonly whole: WholePrograms
  readonly holdings: Holdings
  readonly precision: Precision
  readonly entry: Entry
  /** The names of the sizes that a question specifies. */
  readonly dynamic: readonly string[]
}

/** Refuses buffers that a step would round to 16 bits: small changes of an average would be lost. */
const checkPrecise = ({ buffers }: Programs, compute: FloatType): void => {
  const rounded = buffers.find(([, { dtype, shape }]) => dtype === 'f32' && shape.length > 1)
  if (compute !== 'f32' && rounded !== undefined)
    throw new SessionError(
      `${rounded[0]} is a buffer with several axes, which ${compute} would round: use precision f32`,
    )
}

/** The assumed value of a size that the model does not fix, when the compiler weighs alternatives. */
const typicalSize = 24
/**
 * The number of operations, for each byte that need not be kept, up to which a product is recomputed: that of
 * attention, with heads of up to 256.
 */
const recomputed = 128
/**
 * The bytes in float32 from which a value, such as the logits of a large vocabulary, is computed in pieces, and the
 * rows of a piece. Twice the rows make a step of SmolLM2 3% faster and 50 MB larger; 16-bit types are chosen to save
 * memory.
 */
const chunkFor = (compute: FloatType) => ({ largest: 2 ** 25, rows: compute === 'f32' ? 128 : 64 })

/**
 * Tests for programs with convolutions, whose elementwise ops are left to TensorFlow: a PaCA step of EfficientNetV2-S
 * takes 0.71 s and 1052 MB so, and with kernels that XLA compiles for every size of image 0.89 s and 1150 MB.
 */
const convolves = (roots: readonly Node[]): boolean =>
  topological(roots).some(n => isConvolution(n) || convolves(bodyOf(n)?.outputs ?? []))

const graphTraits: Traits = {
  layOut: true,
  runs: () => true,
  inPlace: new Map(),
  unbound: true,
  loops: true,
  unprepared: true,
  holdsParts: true,
  alike: true,
  recomputeProducts: recomputed,
}

/**
 * Compiles a step into a graph: every program of a session becomes a question to one entry. The graph's size depends
 * neither on the number of equal layers nor on the sizes of batches.
 * @example savedModel(compiledGraph(step, { precision: 'bf16', xla: true }).entry.graph()).byteLength
 */
export const compiledGraph = <P, Q, M, S, B, O, K extends string, U>(
  step: Step<P, Q, M, S, B, O, K, U>,
  { precision: compute, xla }: GraphOptions,
  compiler: CompilerOptions = {},
): Compiled => {
  const { model } = step.tuned
  const known = model.dims ?? {}
  const programs = programsOf(step, { ...graphTraits, ...compiler })
  checkPrecise(programs, compute)
  // a capacity follows from other sizes: with a typical size of its own, logits would seem small enough to be computed
  // whole
  const free = namesOf(programs).filter(name => !Object.hasOwn(model.capacities ?? {}, name))
  const size = sizing(withTypicalSizes(free, known), model.capacities)
  const isOff = (name: string): boolean => compiler.without?.includes(name) === true
  const variables = variablesOf(programs)
  const holdings = holdingsOf(variables, programs, compute)
  const isStaticDim = (dim: Dim): boolean =>
    factors(dim).every(factor => typeof factor === 'number' || Object.hasOwn(known, factor))
  const whole = wholePrograms(programs, variables, {
    size,
    isStaticDim,
    fuse: !isOff('fuse'),
    fusible: isFusible,
    hvp: compiler.hvp === true,
    ...(isOff('chunk') ? {} : { chunk: chunkFor(compute) }),
  })
  const dynamic = namesOf(programs, model.capacities).filter(name => !Object.hasOwn(known, name))
  const precision = precisionOf(compute)
  const writing = {
    lowerings: graphLowerings,
    sizeOf: (name: string) => known[name],
    dynamic,
    xla: xla && !isOff('xla') && !convolves(programs.declared.outputLeaves.map(([, output]) => output)),
  }
  return {
    programs,
    variables,
    whole,
    holdings,
    precision,
    dynamic,
    entry: graphOf({ programs, whole, holdings, writing, precision }),
  }
}

/**
 * Stores activations in the type of the computation; vectors, one number per row, and values that depend on no data,
 * such as rotary tables, in f32.
 */
const precisionOf = (compute: FloatType): Precision => {
  const dataless = new Map<Node, boolean>()
  const isDataless = (n: Node): boolean => {
    const known = dataless.get(n) ?? (n.op !== placeholderOp && n.op !== resultOp && n.inputs.every(isDataless))
    dataless.set(n, known)
    return known
  }
  return {
    compute,
    stored: n =>
      n.dtype !== 'f32' ? n.dtype : n.shape.length < 2 || n.shape.at(-1) === 1 || isDataless(n) ? 'f32' : compute,
  }
}

/**
 * All names in the dims of the leaves and results of the programs, and of the base: the dims of a packed leaf do not
 * show those it unpacks to.
 */
const namesOf = (
  { params, base, state, batch, indices, decode, declared, declaredLoss }: Programs,
  capacities: Readonly<Record<string, Shape>> = {},
): readonly string[] => {
  const leaves = [...params, ...base, ...state, ...batch, ...indices].map(([, leaf]) => leaf)
  const names = leaves.flatMap(({ shape }) =>
    shape.flatMap(dim => factors(dim).filter(factor => typeof factor === 'string')),
  )
  return [
    ...new Set([
      ...names,
      ...namesIn([...declared.outputLeaves.map(([, output]) => output), ...declaredLoss, ...declared.buffers]),
      ...Object.keys(capacities),
      ...(decode ? ['capacity'] : []),
    ]),
  ]
}

const withTypicalSizes = (names: readonly string[], known: Environment): Environment => ({
  ...Object.fromEntries(names.map(name => [name, typicalSize])),
  ...known,
})
