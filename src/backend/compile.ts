import { availableParallelism } from 'node:os'
import * as E from 'fp-ts/lib/Either.js'
import type { Shape } from '../tensor/index.ts'
import type { Step } from '../compile/index.ts'
import { chooseTarget, precisionProblem, targetNames, type Choice, type Precision, type TargetName } from './choice.ts'
import { SessionError } from './device.ts'
import { deviceEngine } from './device-engine.ts'
import { nativeStatus } from './native/status.ts'
import { openSession, type SessionOptions } from './open.ts'
import { referenceDevice } from './reference/device.ts'
import type { Session } from './session.ts'

export interface TargetOptions {
  readonly target?: TargetName
  /** Threads of the wasm target; as many as the machine has unless said. */
  readonly threads?: number
  /**
   * What frozen weights and activations are held in: float32 unless said, which is all that targets other than graph
   * know.
   */
  readonly precision?: Precision
}

/**
 * Compiles a step for a target and opens a session on it: uploads the weights, chooses the columns, makes the
 * optimizer's state. Runtimes are imported when they are asked for, so that none is needed that is not used.
 * @throws {SessionError} one clear sentence: a missing leaf, dims that disagree, too little memory, an unknown target,
 * a precision that it has not
 * @example await using run = await compile(step, { target: 'auto', dims: { batch: 2, seq: 256 }, weights })
 */
export const compile = async <P, Q, M, S, B, L extends Shape>(
  step: Step<P, Q, M, S, B, L>,
  given: TargetOptions & SessionOptions<P>,
): Promise<Session<Q, M, S, B, L>> => {
  // JavaScript may leave it out
  if (typeof given !== 'object' || given === null)
    throw new SessionError('compile takes the weights beside the step: write compile(step, { weights })')
  const { target = 'auto', threads = availableParallelism(), precision = 'f32', ...options } = given
  if (!targetNames.includes(target))
    throw new SessionError(`there is no target ${String(target)}: there are ${targetNames.join(', ')}`)
  const problem = precisionProblem(target, precision)
  if (problem !== undefined) throw new SessionError(problem)
  switch (target) {
    case 'auto': {
      const { target: taken, reason } = await chosen(precision)
      return { ...(await compile(step, { ...options, target: taken, threads, precision })), reason }
    }
    case 'graph': {
      const { graphEngine } = await imported(() => import('./graph/engine.ts'), '@tensorflow/tfjs-core')
      return openSession(step, await graphEngine({ precision }), options)
    }
    case 'reference':
      return openSession(step, deviceEngine(referenceDevice()), options)
    case 'cpu': {
      await imported(() => import('@tensorflow/tfjs-backend-cpu'), '@tensorflow/tfjs-backend-cpu')
      const { registeredDevice } = await import('./tfjs/registered.ts')
      return openSession(step, deviceEngine(await registeredDevice('cpu')), options)
    }
    case 'node': {
      const { nodeDevice } = await imported(() => import('./native/device.ts'), '@tensorflow/tfjs-core')
      return openSession(step, deviceEngine(await nodeDevice()), options)
    }
    case 'wasm': {
      const { wasmDevice } = await imported(
        () => import('./tfjs/wasm-device.ts'),
        '@tensorflow/tfjs-core and @tensorflow/tfjs-backend-wasm',
      )
      return openSession(step, deviceEngine(await wasmDevice({ threads })), options)
    }
  }
}

/** What `auto` takes here. */
const chosen = async (precision: Precision): Promise<Choice> => {
  const choice = chooseTarget(await imported(() => nativeStatus(), '@tensorflow/tfjs-core'), precision)
  if (E.isLeft(choice)) throw new SessionError(choice.left)
  return choice.right
}

const imported = async <T>(load: () => Promise<T>, packages: string): Promise<T> => {
  try {
    return await load()
  } catch (error) {
    throw new SessionError(`this target needs ${packages}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  }
}
