import type { FirstLeaf } from './initializer.ts'

/**
 * The axes that a weight reads from and writes to, counted from the end if negative; several for a weight such as
 * `['hidden', 'heads', 'headDim']`. All other axes are a receptive field, whose size multiplies both fans.
 */
export interface FanOptions {
  /** The input axes (default -2: weights are stored `[…, in, out]`). */
  readonly in?: number | readonly number[]
  /** The output axes (default -1). */
  readonly out?: number | readonly number[]
}

/** The number of inputs of an output, and of outputs of an input. */
export interface Fans {
  readonly fanIn: number
  readonly fanOut: number
}

const positions = (name: string, { path, sizes }: FirstLeaf, axes: number | readonly number[]): readonly number[] =>
  [axes].flat().map(axis => {
    const at = axis < 0 ? axis + sizes.length : axis
    if (!Number.isInteger(at) || at < 0 || at >= sizes.length)
      throw new RangeError(
        `init: ${name} reads axis ${axis} of ${path}, whose sizes are [${sizes.join(', ')}]: specify in and out, or another initializer`,
      )
    return at
  })

/**
 * The fans of a weight.
 * @throws {RangeError} if it lacks an axis: a vector has no default fans
 * @example fansOf('glorotUniform', { seed: 0, path: 'up', sizes: [3, 5] }, {}) // { fanIn: 3, fanOut: 5 }
 */
export const fansOf = (name: string, leaf: FirstLeaf, { in: from = -2, out: to = -1 }: FanOptions): Fans => {
  const inputs = positions(name, leaf, from)
  const outputs = positions(name, leaf, to)
  const both = inputs.find((axis, i) => outputs.includes(axis) || inputs.indexOf(axis) !== i)
  if (both !== undefined || new Set(outputs).size !== outputs.length)
    throw new RangeError(`init: ${name} reads an axis of ${leaf.path} twice: in and out name different axes`)
  const product = (isMeant: (axis: number) => boolean): number =>
    leaf.sizes.reduce((n, size, axis) => (isMeant(axis) ? n * size : n), 1)
  const field = product(axis => !inputs.includes(axis) && !outputs.includes(axis))
  return {
    fanIn: field * product(axis => inputs.includes(axis)),
    fanOut: field * product(axis => outputs.includes(axis)),
  }
}
