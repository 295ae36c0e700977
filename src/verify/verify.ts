import { createHash } from 'node:crypto'
import * as E from 'fp-ts/lib/Either.js'
import {
  compile,
  type Dims,
  type Session,
  type TargetOptions,
  type StopSignal,
  stoppable,
  giveWay,
} from '../backend/index.ts'
import { drawsAtRandom, variesInTraining } from '../compile/index.ts'
import { bodyOf, is, stopGradientOp, topological, type Node, type Shape } from '../tensor/index.ts'
import { trainStep } from '../train/index.ts'
import { versions } from '../host/index.ts'
import {
  chain,
  maskedLeaves,
  monitorDescent,
  sgd,
  type Focus,
  type Fn,
  type Lazy,
  type Transform,
  type Tuned,
  type Values,
} from '../tune/index.ts'
import { dependents, lossOf, provedCurvature } from './bound/index.ts'
import {
  estimateCaution,
  type ConvergenceCertificate,
  type Estimated,
  type MaskCurvature,
  type Proved,
  type Subject,
} from './certificate-format.ts'
import { certificateOf } from './certificate.ts'
import { roundingOf, type MeasuredStep } from './descent.ts'
import { randomDirection, type PowerIteration } from './estimate.ts'
import { dataOf, fixedLoss, sizeOf } from './fixed-loss.ts'

/** The reason why a run cannot be verified, in one clear sentence. */
export class VerifyError extends Error {
  override readonly name = 'VerifyError'
}
const refuse = (sentence: string): never => {
  throw new VerifyError(sentence)
}

/** A transform other than plain gradient descent: its updates are measured, and nothing is claimed. */
export interface MeasuredOptimizer {
  readonly name: string
  readonly lr: number
  readonly transform: Transform<Fn>
  readonly settings?: Readonly<Record<string, string | number | boolean | null>>
}

export interface VerifyOptions<P, Q, M, B, O, K extends string = never> extends TargetOptions {
  readonly tuned: Tuned<P, Q, M, B, O, K>
  readonly weights: Lazy<P>
  /** The batches; f is the mean loss over all of them, the same at every step. */
  readonly batches: readonly Values<B>[]
  readonly dims?: Dims
  readonly steps: number
  /**
   * The learning rate η of gradient descent. Default: 1/L for a proved bound, 1/(2L) for the estimate at the first
   * weights, because the curvature tends to grow along a run.
   */
  readonly lr?: number
  /** Another optimizer, instead of gradient descent. */
  readonly optimizer?: MeasuredOptimizer
  /** The use of a proved bound: required, used if there is one (the default), or never. */
  readonly proof?: 'require' | 'prefer' | 'never'
  /**
   * Hessian-vector products of the first estimate (default 20). Later estimates continue from it with a quarter as
   * many.
   */
  readonly iterations?: number
  /** The seed of the first direction of power iteration (default 0). */
  readonly seed?: number
  /**
   * The same model with more of it trained, such as all weights; its curvature at the first weights is reported for
   * comparison.
   */
  readonly beside?: { readonly name: string; readonly tuned: Tuned<P, unknown, unknown, B, O, K> }
  /**
   * The certificate's description of the model and the method. The rows are those of the batches, unless some of them
   * are padding.
   */
  readonly about: Pick<Subject, 'model' | 'targets' | 'rank' | 'seq'> & Partial<Pick<Subject, 'rows'>>
  /** A lower bound of the loss, if one is known: 0 for cross-entropy and squared error. */
  readonly lowest?: number | null
  readonly seeds?: Readonly<Record<string, number>>
  /** Ends the run with an `IoError` for the interrupt; nothing is certified. */
  readonly signal?: StopSignal | undefined
  /** Receives bounds, estimates and steps as they are computed. */
  readonly onEvent?: (event: VerifyEvent) => void
}

export type VerifyEvent =
  | { readonly event: 'bound'; readonly value: number; readonly head: string }
  | { readonly event: 'unproved'; readonly reason: string }
  /** An estimate of the curvature; `at` is the number of updates before it. */
  | {
      readonly event: 'estimate'
      readonly of: string
      readonly at: number
      readonly value: number
      readonly rayleigh: number
      readonly change: number
    }
  | ({ readonly event: 'step'; readonly step: number } & MeasuredStep)

/** SHA-256 of the numbers in some batches, with the paths and sizes of their leaves. */
const digestOfBatches = (batches: readonly unknown[]): string => {
  const hash = createHash('sha256')
  for (const [path, { sizes, data }] of dataOf(batches))
    hash.update(`${path} ${sizes.join('x')}\n`).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  return hash.digest('hex')
}
/** The number of rows in some batches: the first size of each. */
const rowsIn = (batches: readonly unknown[]): number =>
  batches.reduce<number>((sum, batch) => sum + (dataOf(batch)[0]?.[1].sizes[0] ?? 0), 0)

/**
 * The reason why a method cannot be verified, if there is one: the theorem is about one function and its own gradient.
 */
const methodFault = <P, Q, M, B, O, K extends string>(tuned: Tuned<P, Q, M, B, O, K>): string | undefined => {
  const trained = new Set(
    maskedLeaves(tuned.params, tuned.mask).flatMap(({ leaf, mask }) => (mask.mask === 'frozen' ? [] : [leaf])),
  )
  if (trained.size === 0) return 'the mask selects nothing: no parameter is trained'
  const drawing = drawsAtRandom(tuned)
  if (drawing !== undefined)
    return `${drawing} draws at random at every step: its loss is one function without dropout only`
  const varying = variesInTraining(tuned)
  if (varying !== undefined) return `${varying}: the theorem is about the descent of one fixed function`
  const stops = (n: Node): boolean =>
    is(n, stopGradientOp) || topological(bodyOf(n)?.outputs ?? []).some(inside => is(inside, stopGradientOp))
  return [...dependents([lossOf(tuned).sum], trained)].some(stops)
    ? `the gradient of ${tuned.method} is not that of its loss: it holds fixed what follows from what is trained`
    : undefined
}

const optionFault = ({
  optimizer,
  lr = optimizer?.lr,
  steps,
  batches,
}: Pick<VerifyOptions<never, never, never, never, Shape>, 'optimizer' | 'lr' | 'steps'> & {
  readonly batches: readonly unknown[]
}): string | undefined =>
  lr !== undefined && !(lr > 0 && Number.isFinite(lr))
    ? `the rate is ${lr}: it must be above 0`
    : !(Number.isSafeInteger(steps) && steps > 0)
      ? `there are ${steps} steps: at least one is needed`
      : batches.length === 0
        ? 'there is no batch'
        : undefined

/** The same session, which starts nothing more once the run is to stop. */
const stoppableSession = <P, Q, M, S, B, O, K extends string>(
  session: Session<P, Q, M, S, B, O, K>,
  signal: StopSignal | undefined,
): Session<P, Q, M, S, B, O, K> => ({
  ...session,
  step: async (...of) => {
    await giveWay(signal)
    return session.step(...of)
  },
  evaluate: async (...of) => {
    await giveWay(signal)
    return session.evaluate(...of)
  },
  hvp: async (...of) => {
    await giveWay(signal)
    return session.hvp(...of)
  },
})

/** Combines some estimates: the largest counts. */
const estimated = (found: readonly PowerIteration<unknown>[], seed: number): Estimated => {
  const largest = found.reduce((most, one) => (one.value > most.value ? one : most))
  return {
    kind: 'estimated',
    value: largest.value,
    iterations: found[0]!.iterations,
    seed,
    points: found.length,
    change: largest.change,
    caution: estimateCaution,
  }
}

/** ⟨∇P, u⟩ and ‖u‖² of the last update, from the monitor at the end of the chain. */
const lastUpdate = (state: unknown): Required<Pick<MeasuredStep, 'directional' | 'squared'>> => {
  const values = dataOf(state)
  const numberAt = (name: string): number => Number(values.find(([path]) => path.endsWith(`.${name}`))![1].data[0])
  return { directional: numberAt('directional'), squared: numberAt('squared') }
}

/**
 * Runs an optimizer on a fixed set of rows and holds every step to Theorem 1 (PaCA, Woo et al., ICLR 2025): f(W⁺) ≤
 * f(W) − η(1 − ηL/2)‖∇P‖², with L the curvature inside the mask. L is a proved bound if there is one (for a linear,
 * logistic or softmax head over frozen features). Otherwise it is estimated from below at both ends of every step, and
 * nothing is claimed. Nothing is claimed for an optimizer other than gradient descent either.
 * @throws {VerifyError} one sentence: nothing is trained, a rate that is not above 0, no proof although one is
 * required, a run that diverges
 * @throws {SessionError} if a session does not open
 * @example const certificate = await verify({ tuned, weights, batches: [batch], steps: 20, about: { model: 'mlp', targets: ['up'], rank: 8, seq: null } })
 */
export const verify = async <P, Q, M, B, O, K extends string>(
  given: VerifyOptions<P, Q, M, B, O, K>,
): Promise<ConvergenceCertificate> => {
  const options = { ...given, weights: stoppable(given.weights, given.signal) }
  const {
    tuned,
    weights,
    batches,
    dims = {},
    steps,
    optimizer,
    iterations = 20,
    seed = 0,
    beside,
    about,
    lowest = null,
    onEvent = () => {},
  } = options
  const { target, threads, precision = 'f32' } = options
  const computed = precision === 'f16' ? 'bf16' : precision
  const fault = optionFault(options) ?? methodFault(tuned) ?? (beside && methodFault(beside.tuned))
  if (fault !== undefined) refuse(fault)
  const open = async <N, R>(
    of: Tuned<P, N, R, B, O, K>,
    transform: Transform<Fn>,
  ): Promise<Session<P, N, R, unknown, B, O, K>> =>
    stoppableSession(
      await compile(trainStep(of, transform), {
        ...(target ? { target } : {}),
        ...(threads ? { threads } : {}),
        precision,
        weights,
        dims,
        compiler: { hvp: true },
      }),
      options.signal,
    )
  const told = <T>(of: string, at: number, found: PowerIteration<T>): PowerIteration<T> => {
    onEvent({ event: 'estimate', of, at, value: found.value, rayleigh: found.rayleigh, change: found.change })
    return found
  }
  /** Estimates the curvature inside a mask at the first weights, in a session of its own. */
  const first = async <N, R>(name: string, of: Tuned<P, N, R, B, O, K>) => {
    await using session = await open(of, sgd({ lr: 0 }))
    const { focus } = await session.read()
    const loss = await fixedLoss(session, batches, dims)
    return {
      name,
      trained: sizeOf(focus),
      found: told(name, 0, await loss.curvature(randomDirection(focus, seed), iterations)),
    }
  }
  const masked = ({ name, trained, found }: Awaited<ReturnType<typeof first>>): MaskCurvature => ({
    name,
    trained,
    curvature: estimated([found], seed),
  })

  const bound = await proofFor(options)
  const all = beside && (await first(beside.name, beside.tuned))
  const asked = optimizer?.lr ?? options.lr
  const part = beside || (asked === undefined && bound === undefined) ? await first(tuned.method, tuned) : undefined
  const known = bound?.value ?? part?.found.value ?? 0
  const lr =
    asked ??
    (known > 0
      ? (bound ? 1 : 0.5) / known
      : refuse('the loss has no curvature in what is trained, and so no rate follows from it: name one'))

  await using session = await open(
    tuned,
    optimizer ? chain<readonly [Fn, Fn]>(optimizer.transform, monitorDescent({ lipschitz: 0 })) : sgd({ lr }),
  )
  const loss = await fixedLoss(session, batches, dims)
  const { focus } = await session.read()
  const found: PowerIteration<Values<Focus<Q, M>>>[] = part ? [part.found] : []
  const measured: MeasuredStep[] = []
  const estimate = async (at: number): Promise<void> => {
    if (bound !== undefined || found.length > at) return
    const [start, products] =
      at === 0
        ? ([randomDirection(focus, seed), iterations] as const)
        : ([found.at(-1)!.direction, Math.max(2, Math.ceil(iterations / 4))] as const)
    found.push(told(tuned.method, at, await loss.curvature(start, products)))
  }
  await estimate(0)
  for (let k = 0; k < steps; k++) {
    const stepped = await session.step(batches, dims)
    const update = optimizer ? lastUpdate((await session.read()).state) : {}
    const next = await loss.value()
    if (!Number.isFinite(next)) refuse(`the loss after step ${k} is ${next}: at the rate ${lr} the run diverges`)
    await estimate(k + 1)
    const curvature = bound?.value ?? found.reduce((most, { value }) => Math.max(most, value), 0)
    measured.push({ batch: 0, loss: stepped.loss, next, gradNorm: stepped.gradNorm, rate: lr, curvature, ...update })
    onEvent({ event: 'step', step: k, ...measured[k]! })
  }
  const certificate = certificateOf({
    subject: {
      rows: rowsIn(batches),
      ...about,
      data: digestOfBatches(batches),
      method: tuned.method,
      trained: sizeOf(focus),
      target: session.target,
      precision: computed,
    },
    seeds: { direction: seed, ...options.seeds },
    optimizer: { name: optimizer?.name ?? 'sgd', lr, schedule: 'constant', settings: optimizer?.settings ?? {} },
    curvature: bound ?? estimated(found, seed),
    ...(all && part ? { masks: { all: masked(all), parts: [masked(part)] } } : {}),
    rounding: roundingOf(computed),
    lowest,
    steps: measured,
    assumed: [],
    versions: versions(),
  })
  return E.isRight(certificate) ? certificate.right : refuse(certificate.left)
}

/** A proved bound, if there is one and it is not declined. */
const proofFor = async <P, Q, M, B, O, K extends string>({
  tuned,
  weights,
  batches,
  dims = {},
  target,
  proof = 'prefer',
  onEvent = () => {},
}: VerifyOptions<P, Q, M, B, O, K>): Promise<Proved | undefined> => {
  if (proof === 'never') return undefined
  const found = await provedCurvature(trainStep(tuned, sgd({ lr: 0 })), {
    weights,
    batches,
    dims,
    ...(target ? { target } : {}),
  })
  if (E.isRight(found)) {
    onEvent({ event: 'bound', value: found.right.value, head: found.right.head })
    return found.right
  }
  onEvent({ event: 'unproved', reason: found.left.message })
  return proof === 'require' ? refuse(found.left.message) : undefined
}
