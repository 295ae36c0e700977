import {
  bindDims,
  courseOf,
  describe,
  explainPrograms,
  flopsOf,
  footprintOf,
  given,
  programsOf,
  savedIn,
  type CompilerOptions,
  type Course,
  type Explanation,
  type Planned,
  type Prepared,
  type Program,
  type Programs,
  type Replacing,
  type Size,
  type Sized,
  type Step,
} from '../compile/index.ts'
import { bytesPerElement, count, type Environment, type Model, type Node } from '../tensor/index.ts'
import { asksToRecompute, plannedWithin } from './budget.ts'
import { certify } from './certificate.ts'
import type { Device } from './device.ts'
import type { Precision } from './precision.ts'
import { makingOf, type Made } from './runner.ts'
import type { Certificate } from './session.ts'

/** The options of a plan that are the same for all sizes of batches. */
export interface Foreseeing {
  readonly precision: Precision
  /** The micro-batches whose gradients a step adds up (default: 1). */
  readonly accumulate?: number
  /** Options of the compiler. */
  readonly compiler?: CompilerOptions
  /** The most bytes that a step may hold: a plan recomputes as little as that allows. */
  readonly memory?: number | undefined
}

/** A buffer by name. */
export interface NamedBuffer {
  /** The value as an expression. */
  readonly what: string
  readonly bytes: number
  /** The number of equal ones that are held at a time, as one for each layer. */
  readonly times: number
}

/** The memory and the operations of a step, known before it runs and without weights. */
export interface StepPlan
  extends Pick<Explanation, 'trainable' | 'parameters' | 'layers'>, Pick<Certificate, 'weights' | 'state' | 'total'> {
  /** Bytes that live from the forward to the backward pass. */
  readonly saved: number
  /** The most bytes that are held beyond weights, state and what is saved. */
  readonly passing: number
  /** Floating-point operations of a micro-batch; backward includes what is recomputed. */
  readonly flops: { readonly forward: number; readonly backward: number }
  /** The largest part of what is held beyond weights and state. */
  readonly binds: NamedBuffer
  /** The plan that recomputes nothing, if the step was to recompute or to fit a budget. */
  readonly instead?: Planned
}

/** The plans of a step as a target holds it, for any sizes. */
export interface Foresight {
  /**
   * The plan, within the budget if there is one.
   * @throws {DimsError} if a dim has no size
   * @throws {SessionError} if no plan is within the budget
   */
  readonly at: (dims: Readonly<Record<string, number>>) => StepPlan
  /**
   * The memory alone, which takes less time; with a budget, that of the plan that recomputes all that saves memory.
   */
  readonly certificate: (dims: Readonly<Record<string, number>>) => Certificate
  /** The memory over the gradient program of the plan, for a target that runs plans. */
  readonly course?: (dims: Readonly<Record<string, number>>) => Course
  /** The reason why a run may hold more than its plan, as a sentence, for a target where that is so. */
  readonly caveat?: string
  /** The most bytes that the target can hold, if there is such a limit. */
  readonly limit: number | undefined
}

/** The facts about a model that its sizes follow from. */
export type Sizing = Pick<Model<unknown, unknown, unknown, string, unknown>, 'dims' | 'capacities'>

/** The sizes of a step: those of its model, and the given ones. */
export const sizesIn = (model: Pick<Sizing, 'dims'>, dims: Readonly<Record<string, number>>): Environment =>
  bindDims([...given('the model', model.dims ?? {}), ...given('dims', dims)])

/** The parts of a plan in which targets differ. */
interface Parts {
  readonly programs: Programs
  readonly size: Size
  readonly certificate: Certificate
  readonly bytes: (n: Node) => number
  /** The program from which kept values are named. */
  readonly program: Program
  /** The outputs of the forward pass, and all. */
  readonly forward: readonly Node[]
  readonly all: readonly Node[]
  /** Bytes that live from the forward to the backward pass. */
  readonly saved: number
  readonly largest: Sized | undefined
  /** The memory and operations of the plan that recomputes nothing, if this one was asked to. */
  readonly instead: Certificate | undefined
}

/** A plan from its parts. */
export const planFrom = ({
  programs,
  size,
  certificate,
  bytes,
  program,
  forward,
  all,
  saved,
  largest,
  instead,
}: Parts): StepPlan => {
  const { weights, state, transient, total } = certificate
  const { trainable, parameters, layers } = explainPrograms(programs, size, {
    bytes,
    weights,
    state,
    peak: transient,
    program,
  })
  const candidates: readonly NamedBuffer[] = [
    ...layers.flatMap(({ layers: times, kept }) => kept.map(({ what, bytes: own }) => ({ what, bytes: own, times }))),
    ...(largest ? [{ what: describe(largest.node, programs.names), bytes: largest.bytes, times: 1 }] : []),
  ]
  const forwardFlops = flopsOf(forward, size)
  return {
    trainable,
    parameters,
    layers,
    weights,
    state,
    saved,
    passing: transient - saved,
    total,
    flops: { forward: forwardFlops, backward: flopsOf(all, size) - forwardFlops },
    binds: candidates.reduce((most, one) => (one.bytes * one.times > most.bytes * most.times ? one : most), {
      what: 'the batch',
      bytes: 0,
      times: 1,
    }),
    ...(instead === undefined ? {} : { instead: { total: instead.total, flops: instead.flops } }),
  }
}

/** The plans of the programs of a step on a device, whose certificate is exact. */
export const plansOf = (
  programs: Programs,
  model: Sizing,
  { accumulate = 1, recompute, memory }: Pick<Foreseeing, 'accumulate' | 'memory'> & Pick<CompilerOptions, 'recompute'>,
) => {
  const making = makingOf({ programs, capacities: model.capacities })
  const indices = programs.indices.map(([, index]) => index)
  let kept:
    | {
        readonly follow: readonly Prepared[]
        readonly update: Made<Replacing>
        readonly norm: Made<Program>
        readonly sums: Made<Program> | undefined
      }
    | undefined
  /** The programs after the gradients, which know no batch: made once, unless other prepared values follow. */
  const after = (sizes: Environment, prepared: readonly Prepared[]) => {
    const follow = prepared.filter(programs.isStale)
    if (kept?.follow.length === follow.length && follow.every(one => kept?.follow.includes(one))) return kept
    kept = {
      follow,
      update: making(sizes, size => programs.update(size, follow)),
      norm: making(sizes, programs.norm),
      sums: accumulate > 1 ? making(sizes, programs.accumulate) : undefined,
    }
    return kept
  }
  const made = (dims: Readonly<Record<string, number>>, under: CompilerOptions['recompute']) => {
    const sizes = sizesIn(model, dims)
    const gradients = making(sizes, size => programs.gradients(size, under))
    const { update, norm, sums } = after(sizes, gradients.prepared)
    const certificate = certify(programs, indices, {
      gradients,
      norm,
      update,
      prepared: new Set([...gradients.prepared, ...norm.prepared, ...update.prepared]),
      ...(sums ? { accumulate: sums } : {}),
    })
    return { ...gradients, certificate, recompute: under }
  }
  /** The plan for sizes, within the budget if there is one. */
  const planned = lastly((dims: Readonly<Record<string, number>>) =>
    memory === undefined ? made(dims, recompute) : plannedWithin(under => candidateFrom(made(dims, under)), memory),
  )
  return { made, planned }
}

/** Plans the programs of a step on a device. */
const foreseenOn = <P, Q, M, S, B, O, K extends string, U>(
  step: Step<P, Q, M, S, B, O, K, U>,
  { traits, limit }: Pick<Device<unknown>, 'traits' | 'limit'>,
  { compiler, memory, ...more }: Foreseeing,
): Foresight => {
  const recompute = compiler?.recompute
  const programs = programsOf(step, { ...compiler, ...traits })
  const { made, planned } = plansOf(programs, step.tuned.model, { ...more, recompute, memory })
  const first = 2 + programs.buffers.length
  return {
    limit,
    certificate: dims => (memory === undefined ? planned(dims) : made(dims, Number.POSITIVE_INFINITY)).certificate,
    course: dims => courseOf(planned(dims).program.plan, first),
    at: dims => {
      const { program, size, certificate } = planned(dims)
      return planFrom({
        programs,
        size,
        program,
        certificate,
        forward: program.outputs.slice(0, first),
        saved: Math.max(0, savedIn(program.plan, first)),
        all: program.outputs,
        bytes: n => count(n.shape.map(size)) * bytesPerElement[n.dtype],
        largest: footprintOf(program.plan).largest,
        instead: asksToRecompute({ memory, recompute }) ? made(dims, 'none').certificate : undefined,
      })
    },
  }
}

/** A function of sizes that remembers its last result. */
const lastly = <A>(of: (dims: Readonly<Record<string, number>>) => A): typeof of => {
  let last: { readonly key: string; readonly value: A } | undefined
  return dims => {
    const key = JSON.stringify(dims)
    if (last?.key !== key) last = { key, value: of(dims) }
    return last.value
  }
}

/** A program as a candidate for a budget. */
const candidateFrom = <A extends Made<Program> & { readonly certificate: Certificate }>(made: A) => {
  const { total: bytes, weights, state } = made.certificate
  return { ...made, limits: made.program.limits, bytes, fixed: weights + state }
}

/** The foresight of a target that runs plans on a device, which is opened for its traits and disposed of. */
export const foreseePlans =
  (open: () => Promise<Pick<Device<never>, 'traits' | 'limit' | 'dispose'>>) =>
  async <P, Q, M, S, B, O, K extends string, U>(
    step: Step<P, Q, M, S, B, O, K, U>,
    foreseeing: Foreseeing,
  ): Promise<Foresight> => {
    const device = await open()
    try {
      return foreseenOn(step, device, foreseeing)
    } finally {
      await device.dispose()
    }
  }
