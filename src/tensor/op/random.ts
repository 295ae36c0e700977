import { hashName } from '../random.ts'
import { typed, type Node, type Tensor } from '../node.ts'
import type { Shape, ShapeFault } from '../shape/index.ts'
import { pointwise } from './elementwise.ts'
import { fill } from './fill.ts'
import { sources } from './placeholder.ts'
import { draws, type RandomKey, type RandomStream } from './random-bits.ts'
import { uniforms } from './random-uniform.ts'
import { layouts } from './reshape.ts'
import { parts } from './slice.ts'

// Random numbers as functions of a key: the same key and stream give the same numbers, on every target.

/** The user of a key: draws of one key with different streams are independent (default: 0). */
export interface Drawn {
  readonly stream?: number | RandomStream
}

const integers = (...value: readonly number[]): Node =>
  sources.constant(
    value.map(n => n | 0),
    [value.length],
    'i32',
  )
const streamOf = ({ stream = 0 }: Drawn): Node => (typeof stream === 'number' ? integers(stream) : stream)

/**
 * The key of a seed, which is a whole number.
 * @throws {RangeError} if it is not one that a number holds exactly
 * @example random.normal(random.key(0), ['batch', 'hidden'])
 */
export const key = (seed: number): RandomKey => {
  if (!Number.isSafeInteger(seed)) throw new RangeError(`random.key: the seed is a whole number, not ${seed}`)
  return typed(integers(seed, Math.floor(seed / 2 ** 32), 0))
}

const folding = hashName('random.fold')
/**
 * Another key, independent of this one and of those of other numbers: for each layer or step, as in
 * `jax.random.fold_in`.
 * @example random.fold(key, 3)
 */
export const fold = (key: RandomKey, number: number | Tensor<readonly [], 'i32'>): RandomKey => {
  // words that no draw of the key itself gives: the number of the draw differs
  const apart = pointwise.add(key, integers(0, 0, folding))
  const stream = typeof number === 'number' ? integers(number) : layouts.reshape(number, [1])
  return typed(draws.randomBits(apart, stream, [3]))
}

/** The bounds of a uniform distribution: `low` is within, `high` is not (default: 0 and 1). */
export interface UniformOptions extends Drawn {
  readonly low?: number
  readonly high?: number
}
/**
 * Numbers uniformly distributed over [low, high), in 2^24 steps: Philox 4x32-10 (Salmon et al. 2011).
 * @example random.uniform(key, ['batch', 'hidden'], { low: -1 })
 */
export const uniform = <const S extends Shape>(
  key: RandomKey,
  shape: S & ShapeFault<S>,
  options: UniformOptions = {},
): Tensor<Readonly<S>> => {
  const { low = 0, high = 1 } = options
  const unit = uniforms.randomUniform(key, streamOf(options), shape)
  return typed(low === 0 && high === 1 ? unit : pointwise.add(pointwise.mul(unit, high - low), low))
}

/** The parameters of a normal distribution (default: 0 and 1). */
export interface NormalOptions extends Drawn {
  readonly mean?: number
  readonly deviation?: number
}
/**
 * Normally distributed numbers, by the transform of Box and Muller (1958) of two uniform ones each. The largest is 5.8
 * deviations from the mean.
 * @example random.normal(key, ['batch', 'hidden'], { deviation: 0.02 })
 */
export const normal = <const S extends Shape>(
  key: RandomKey,
  shape: S & ShapeFault<S>,
  options: NormalOptions = {},
): Tensor<Readonly<S>> => {
  const { mean = 0, deviation = 1 } = options
  const pairs = uniforms.randomUniform(key, streamOf(options), [2, ...shape])
  const [first, second] = [[], [1]].map(start => layouts.reshape(parts.slice(pairs, 0, { as: 1, start }), shape)) as [
    Node,
    Node,
  ]
  // 1 minus a number in [0, 1) is exact, and never 0
  const radius = pointwise.sqrt(pointwise.mul(pointwise.log(pointwise.sub(1, first)), -2))
  const unit = pointwise.mul(radius, pointwise.cos(pointwise.mul(second, 2 * Math.PI)))
  return typed(mean === 0 && deviation === 1 ? unit : pointwise.add(pointwise.mul(unit, deviation), mean))
}

/**
 * Truth values, each true with a probability, to 2^-32.
 * @throws {RangeError} if the probability is not in [0, 1]
 * @example random.bernoulli(key, ['batch', 'hidden'], 0.9)
 */
export const bernoulli = <const S extends Shape>(
  key: RandomKey,
  shape: S & ShapeFault<S>,
  probability: number,
  options: Drawn = {},
): Tensor<Readonly<S>, 'bool'> => {
  if (!(probability >= 0 && probability <= 1))
    throw new RangeError(`random.bernoulli: the probability is at least 0 and at most 1, not ${probability}`)
  // the largest word, as a signed integer, that is true
  const most = Math.round(probability * 2 ** 32) - 2 ** 31 - 1
  if (most < -(2 ** 31)) return fill<S, 'bool'>(shape, 0, 'bool')
  return typed(pointwise.lessEqual(draws.randomBits(key, streamOf(options), shape), sources.constant(most, [], 'i32')))
}
