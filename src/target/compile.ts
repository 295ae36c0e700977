import { availableParallelism } from 'node:os'
import type { Shape } from '../tensor/index.ts'
import type { Step } from '../compile/index.ts'
import { precisionProblem, targetNames, type Precision, type TargetName } from './choice.ts'
import { SessionError } from './device.ts'
import { deviceEngine } from './device-engine.ts'
import { openSession, type SessionOptions } from './open.ts'
import { referenceDevice } from './reference/device.ts'
import type { Session } from './session.ts'

export interface TargetOptions {
  readonly target?: TargetName
  /** Threads of the wasm target; as many as the machine has unless said. */
  readonly threads?: number
  /** What frozen weights and activations are held in: float32 unless said, which is all that targets other than graph know. */
  readonly precision?: Precision
}

/**
 * Compiles a step for a target and opens a session on it: uploads the weights, chooses the columns, makes the optimizer's state.
 * Runtimes are imported when they are asked for, so that none is needed that is not used.
 * @throws {SessionError} one clear sentence: a missing leaf, dims that disagree, too little memory, an unknown target, a precision that it has not
 * @example await using run = await compile(step, { target: 'auto', dims: { batch: 2, seq: 256 }, weights })
 */
export const compile = async <P, Q, M, S, B, L extends Shape>(
  step: Step<P, Q, M, S, B, L>,
  { target = 'auto', threads = availableParallelism(), precision = 'f32', ...options }: TargetOptions & SessionOptions<P>,
): Promise<Session<Q, M, S, B, L>> => {
  const taken = target === 'auto' ? 'wasm' : target, problem = targetNames.includes(target) ? precisionProblem(taken, precision) : undefined
  if (problem !== undefined) throw new SessionError(problem)
  switch (taken) {
    case 'reference': return openSession(step, deviceEngine(referenceDevice()), options)
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
      const { wasmDevice } = await imported(() => import('./tfjs/wasm.ts'), '@tensorflow/tfjs-core and @tensorflow/tfjs-backend-wasm')
      return openSession(step, deviceEngine(await wasmDevice({ threads })), options)
    }
    default: throw new SessionError(`there is no target ${String(target)}: there are ${targetNames.join(', ')}`)
  }
}

const imported = async <T>(load: () => Promise<T>, packages: string): Promise<T> => {
  try { return await load() } catch (error) {
    throw new SessionError(`this target needs ${packages}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}
