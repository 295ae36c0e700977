import { availableParallelism } from 'node:os'
import type { Shape } from '../tensor/index.ts'
import type { Step } from '../compile/index.ts'
import { SessionError, type Device } from './device.ts'
import { openSession, type SessionOptions } from './open.ts'
import { referenceDevice } from './reference/device.ts'
import type { Session } from './session.ts'

/** The targets by name: `auto` is the fastest that works here. */
export type TargetName = 'auto' | 'wasm' | 'node' | 'cpu' | 'reference'
export const targetNames: readonly TargetName[] = ['auto', 'wasm', 'node', 'cpu', 'reference']

export interface TargetOptions {
  readonly target?: TargetName
  /** Threads of the wasm target; as many as the machine has unless said. */
  readonly threads?: number
}

/**
 * Compiles a step for a target and opens a session on it: uploads the weights, chooses the columns, makes the optimizer's state.
 * Runtimes are imported when they are asked for, so that none is needed that is not used.
 * @throws {SessionError} one clear sentence: a missing leaf, dims that disagree, too little memory, an unknown target
 * @example await using run = await compile(step, { target: 'auto', dims: { batch: 2, seq: 256 }, weights })
 */
export const compile = async <P, Q, M, S, B, L extends Shape>(
  step: Step<P, Q, M, S, B, L>,
  { target = 'auto', threads = availableParallelism(), ...options }: TargetOptions & SessionOptions<P>,
): Promise<Session<Q, M, S, B, L>> => {
  switch (target) {
    case 'reference': return orDispose(step, referenceDevice(), options)
    case 'cpu': {
      await imported(() => import('@tensorflow/tfjs-backend-cpu'), '@tensorflow/tfjs-backend-cpu')
      const { registeredDevice } = await import('./tfjs/registered.ts')
      return orDispose(step, await registeredDevice('cpu'), options)
    }
    case 'node': {
      const { nodeDevice } = await imported(() => import('./native/device.ts'), '@tensorflow/tfjs-core')
      return orDispose(step, await nodeDevice(), options)
    }
    case 'auto': case 'wasm': {
      const { wasmDevice } = await imported(() => import('./tfjs/wasm.ts'), '@tensorflow/tfjs-core and @tensorflow/tfjs-backend-wasm')
      return orDispose(step, await wasmDevice({ threads }), options)
    }
    default: throw new SessionError(`there is no target ${String(target)}: there are ${targetNames.join(', ')}`)
  }
}

const imported = async <T>(load: () => Promise<T>, packages: string): Promise<T> => {
  try { return await load() } catch (error) {
    throw new SessionError(`this target needs ${packages}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

const orDispose = async <P, Q, M, S, B, L extends Shape, H>(
  step: Step<P, Q, M, S, B, L>, device: Device<H>, options: SessionOptions<P>): Promise<Session<Q, M, S, B, L>> => {
  try { return await openSession(step, device, options) } catch (error) {
    await device.dispose()
    throw error
  }
}

