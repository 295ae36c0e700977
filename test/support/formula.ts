import type { Shape, Value } from '../../src/index.ts'
import { fromStorage, storedSizes, type Layout } from '../../src/model/index.ts'

/** Tensors that follow from their names, so that a test beside PyTorch needs no files of weights. */

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1)
const mixed = (x: number): number => Math.imul(x ^ (x >>> 16), 0x45d9f3b)

/**
 * Numbers in [-0.5, 0.5) that follow from a name and a place, times a factor: `numbers` of golden/efficientnet/make.py.
 * @example formula('image', [2, 3])
 */
export const formula = (name: string, sizes: readonly number[]): Float64Array => {
  const seed = Array.from(name).reduce((h, letter) => (Math.imul(h, 31) + letter.charCodeAt(0)) | 0, 0)
  const made = new Float64Array(product(sizes))
  for (let i = 0; i < made.length; i++) {
    const x = mixed(mixed((Math.imul(i, 0x9e3779b1) + seed) | 0))
    made[i] = ((x ^ (x >>> 16)) >>> 0) / 2 ** 32 - 0.5
  }
  return made
}

/** The tensor of a name in storage: `value` of golden/efficientnet/make.py. */
export const formulaTensor = (name: string, sizes: readonly number[]): Float32Array => {
  const made = formula(name, sizes)
  const isGain = name.endsWith('running_var') || (name.endsWith('weight') && sizes.length === 1)
  const scale = isGain ? 0.5 : sizes.length > 1 ? Math.sqrt(14 / product(sizes.slice(1))) : 0.2
  return Float32Array.from(made, x => (isGain ? 1 : 0) + scale * x)
}

/** The tensors of leaves that are called like their tensors in storage, as data for a session. */
export const formulaValues = (
  leaves: Readonly<Record<string, { readonly shape: Shape }>>,
  layoutOf: (name: string) => Layout,
  sizeOf: (dim: Shape[number]) => number,
): Readonly<Record<string, Value<Shape>>> =>
  Object.fromEntries(
    Object.entries(leaves).map(([name, { shape }]) => {
      const sizes = shape.map(sizeOf)
      const layout = layoutOf(name)
      const stored = storedSizes(layout, sizes)
      const { data } = fromStorage(layout, { sizes: stored, data: formulaTensor(name, stored) })
      return [name, { shape, sizes, dtype: 'f32', data }]
    }),
  )

/** Square images `[batch, size, size, 3]`: `image` of golden/efficientnet/make.py, where channels are before rows. */
export const formulaImages = (batch: number, size: number): Value<readonly ['batch', number, number, number]> => {
  const planes = formula('image', [batch, 3, size, size])
  const pixels = size * size
  const data = Float32Array.from(planes, (_, i) => {
    const [image, pixel, channel] = [Math.floor(i / (3 * pixels)), Math.floor(i / 3) % pixels, i % 3]
    return 4 * Math.fround(planes[(image * 3 + channel) * pixels + pixel]!)
  })
  return { shape: ['batch', size, size, 3], sizes: [batch, size, size, 3], dtype: 'f32', data }
}
