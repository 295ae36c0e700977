import * as E from 'fp-ts/lib/Either.js'
import type { Native } from './native/native.ts'

/** The targets by name: `auto` is the fastest that works here. */
export type TargetName = 'auto' | 'graph' | 'wasm' | 'node' | 'cpu' | 'reference'
export const targetNames: readonly TargetName[] = ['auto', 'graph', 'wasm', 'node', 'cpu', 'reference']

/**
 * What frozen weights and activations are held and multiplied in. What is trained, its state, sums and losses are
 * float32 always.
 */
export type Precision = 'f32' | 'bf16' | 'f16'
export const precisions: readonly Precision[] = ['f32', 'bf16', 'f16']

/** What matters of `nativeStatus` to a choice: the TensorFlow that there is, or why there is none. */
export interface Found {
  readonly used: Pick<Native, 'from' | 'gpu' | 'loadSavedModel'> | undefined
  readonly problem: string | undefined
}

/** What `auto` takes, and why, in words. */
export interface Choice {
  readonly target: 'graph' | 'wasm'
  readonly reason: string
}

/**
 * What `auto` takes: the graph target where there is TensorFlow, which runs it on a GPU if it has one, else wasm.
 * Left: one sentence, where a precision needs TensorFlow and there is none.
 * @example chooseTarget(await nativeStatus(), 'f32') // Right of { target: 'graph', reason: 'TensorFlow from @tensorflow/tfjs-node' }
 */
export const chooseTarget = ({ used, problem }: Found, precision: Precision): E.Either<string, Choice> => {
  if (used?.loadSavedModel !== undefined)
    return E.right({ target: 'graph', reason: `TensorFlow from ${used.from}${used.gpu ? ', which has a GPU' : ''}` })
  const reason = used === undefined ? (problem ?? 'there is no TensorFlow') : `${used.from} loads no graphs`
  return precision === 'f32'
    ? E.right({ target: 'wasm', reason })
    : E.left(`${precision} needs the graph target: ${reason}`)
}

/**
 * Why a target does not compute in a precision, if it does not: the graph target alone, which `auto` may take, knows
 * other types than float32.
 * @example precisionProblem('wasm', 'bf16') is 'the wasm target computes in float32: bf16 needs --target graph'
 */
export const precisionProblem = (target: TargetName, precision: Precision): string | undefined =>
  !precisions.includes(precision)
    ? `there is no precision ${String(precision)}: there are ${precisions.join(', ')}`
    : precision === 'f32' || target === 'graph' || target === 'auto'
      ? undefined
      : `the ${target} target computes in float32: ${precision} needs --target graph`
