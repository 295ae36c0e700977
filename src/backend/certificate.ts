import {
  flopsOf,
  footprintOf,
  type Prepared,
  type Program,
  type Programs,
  type Replacing,
  type Size,
} from '../compile/index.ts'
import { bytesPerElement, count, is, placeholderOp, reshapeOp, type Node } from '../tensor/index.ts'
import { bytesText } from '../text/index.ts'
import { SessionError } from './device.ts'
import type { Engine } from './engine.ts'
import type { Made } from './runner.ts'
import type { Certificate } from './session.ts'

const bytesOf = (nodes: readonly Node[], size: Size): number =>
  nodes.reduce((sum, n) => sum + count(n.shape.map(size)) * bytesPerElement[n.dtype], 0)
const second = <T>(pairs: readonly (readonly [unknown, T])[]): readonly T[] => pairs.map(([, value]) => value)

/** Tests for a leaf with another shape, whose buffer it shares. */
const isView = (n: Node): boolean => is(n, placeholderOp) || (is(n, reshapeOp) && isView(n.inputs[0]!))

/** The numbers that an update receives in addition to gradients: the count, and the loss if the update reads it. */
export const givenTo = ({ inputs }: Program, { count, loss }: Programs): readonly Node[] =>
  inputs.includes(loss) ? [count, loss] : [count]

/** The programs of a step, and the values that are prepared while it runs. */
interface StepPrograms {
  readonly gradients: Made<Program>
  readonly norm: Made<Program>
  readonly update: Made<Replacing>
  readonly prepared: ReadonlySet<Prepared>
  /** The addition of gradients, if a step has several micro-batches. */
  readonly accumulate?: Made<Program>
}

/** The memory that a session will hold, from the plans of its step alone. */
export const certify = (
  programs: Programs,
  indices: readonly Node[],
  { gradients, norm, update, prepared, accumulate }: StepPrograms,
): Certificate => {
  const { size } = gradients
  const peak = ({ program: { plan } }: Made<Program>): number => footprintOf(plan).peak
  const weights =
    bytesOf([...second(programs.params), ...indices], size) +
    [...prepared].reduce(
      (sum, { expression, placeholder, size: own }) => sum + (isView(expression) ? 0 : bytesOf([placeholder], own)),
      0,
    )
  const state = bytesOf(second(programs.state), size)
  const sums = bytesOf(programs.gradient, size)
  const gradient = sums + bytesOf(givenTo(update.program, programs), size)
  const transient = Math.max(
    (accumulate ? sums : 0) + bytesOf(second(programs.batch), size) + peak(gradients),
    gradient + Math.max(peak(norm), peak(update)),
    accumulate ? 2 * sums + peak(accumulate) : 0,
  )
  return {
    weights,
    state,
    transient,
    total: weights + state + transient,
    flops: flopsOf(gradients.program.outputs, size),
  }
}

/** Refuses a step that will not fit, before it starts. */
export const checkMemory = ({ name, limit }: Pick<Engine, 'name' | 'limit'>, bytes: number): void => {
  if (limit !== undefined && bytes > limit) {
    throw new SessionError(
      `a step needs ${bytesText(bytes, 'up')}, and ${name} can hold ${bytesText(limit, 'down')}: take a smaller batch or shorter rows`,
    )
  }
}
