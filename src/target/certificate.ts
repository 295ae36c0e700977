import { footprintOf, type Program, type Programs, type Replacing, type Size } from '../compile/index.ts'
import { bytesPerElement, count, type Environment, type Node } from '../tensor/index.ts'
import { SessionError } from './device.ts'
import type { Engine } from './engine.ts'
import type { Made, Runner } from './runner.ts'
import type { Certificate } from './session.ts'

const bytesOf = (nodes: readonly Node[], size: Size): number => nodes.reduce((sum, n) => sum + count(n.shape.map(size)) * bytesPerElement[n.dtype], 0)
const second = <T>(pairs: readonly (readonly [unknown, T])[]): readonly T[] => pairs.map(([, value]) => value)

/** The program of an update, made again when more must follow the weights. */
export const updateProgram = <H>(programs: Programs, { once }: Runner<H>, own: Environment): Made<Replacing> =>
  once(`update of ${programs.stale().length}`, own, programs.update)

/** The numbers of a step that an update is given beside gradients: the loss where it reads it. */
export const givenTo = ({ inputs }: Program, { count, loss }: Programs): readonly Node[] => (inputs.includes(loss) ? [count, loss] : [count])

/** What a session will hold, from its plans alone: `sizes` are those of a batch, `own` those of the session. */
export const certify = <H>(programs: Programs, runner: Runner<H>, indices: readonly Node[], sizes: Environment, own: Environment): Certificate => {
  const { once } = runner, { program: gradients, size } = once('gradients', sizes, programs.gradients)
  const norm = once('norm', own, programs.norm).program
  // last, because it replaces what the other programs want prepared
  const update = updateProgram(programs, runner, own).program
  const peak = ({ plan }: Program): number => footprintOf(plan).peak
  const weights = bytesOf([...second(programs.params), ...indices], size) +
    programs.prepared().reduce((sum, prepared) => sum + bytesOf([prepared.placeholder], prepared.size), 0)
  const state = bytesOf(second(programs.state), size), gradient = bytesOf([...programs.gradient, ...givenTo(update, programs)], size)
  const transient = Math.max(bytesOf(second(programs.batch), size) + peak(gradients), gradient + Math.max(peak(norm), peak(update)))
  return { weights, state, transient, total: weights + state + transient }
}

/** Refuses a step that will not fit, before it starts. */
export const checkMemory = ({ name, limit }: Pick<Engine, 'name' | 'limit'>, bytes: number): void => {
  const megabytes = (n: number): string => `${Math.ceil(n / 1e6)} MB`
  if (limit !== undefined && bytes > limit) {
    throw new SessionError(`a step needs ${megabytes(bytes)}, and ${name} can hold ${megabytes(limit)}: take a smaller batch or shorter rows`)
  }
}
