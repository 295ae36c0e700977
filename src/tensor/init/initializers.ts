import { hashName, normals, uniform as uniformNumbers } from '../random.ts'
import { count } from '../value.ts'
import { fansOf, type FanOptions, type Fans } from './fans.ts'
import type { FirstLeaf, Initializer } from './initializer.ts'

const number = (name: string, what: string, value: number, from = -Infinity): number => {
  if (Number.isFinite(value) && value >= from) return value
  throw new RangeError(
    `init: ${what} of ${name} is ${value}: it is a finite number${from === -Infinity ? '' : `, at least ${from}`}`,
  )
}

/** `shift + scale z` for standard normal z; those beyond `cut` are drawn again. */
const normalNumbers = ({ seed, path, sizes }: FirstLeaf, scale: number, shift = 0, cut = Infinity): Float32Array => {
  const source = normals(seed, hashName(path))
  const data = new Float32Array(count(sizes))
  for (let i = 0; i < data.length; i++) {
    let z = source.next().value
    while (Math.abs(z) > cut) z = source.next().value
    data[i] = shift + scale * z
  }
  return data
}
const between = ({ seed, path, sizes }: FirstLeaf, min: number, max: number): Float32Array =>
  uniformNumbers(seed, hashName(path), count(sizes)).map(u => min + (max - min) * u)

/** Every number the same. @example constant(0.5) */
export const constant = (value: number): Initializer => {
  number('constant', 'the value', value)
  return ({ sizes }) => new Float32Array(count(sizes)).fill(value)
}
/** Zeros, usual for a bias. @example zeros() */
export const zeros = (): Initializer => constant(0)
/** Ones, usual for the gain of a norm. @example ones() */
export const ones = (): Initializer => constant(1)

/** Normal numbers with a mean (default 0). @example normal({ std: 0.02 }) */
export const normal = ({ std, mean = 0 }: { readonly std: number; readonly mean?: number }): Initializer => {
  number('normal', 'std', std, 0)
  number('normal', 'mean', mean)
  return leaf => normalNumbers(leaf, std, mean)
}

/** Numbers spread evenly from `min` to `max`. @example uniform({ min: -0.1, max: 0.1 }) */
export const uniform = ({ min, max }: { readonly min: number; readonly max: number }): Initializer => {
  number('uniform', 'max', max, number('uniform', 'min', min))
  return leaf => between(leaf, min, max)
}

/** The mean, the deviation before the cut, and the distance of the cut from the mean in deviations. */
export interface TruncatedNormalOptions {
  readonly std: number
  readonly mean?: number
  readonly cut?: number
}

/**
 * Normal numbers without those further than `cut` (default 2) times `std` from the mean, as
 * `jax.nn.initializers.truncated_normal`. `std` is the deviation before the cut: at 2 it leaves 0.8796 of it.
 * @example truncatedNormal({ std: 0.02 })
 */
export const truncatedNormal = ({ std, mean = 0, cut = 2 }: TruncatedNormalOptions): Initializer => {
  number('truncatedNormal', 'std', std, 0)
  number('truncatedNormal', 'mean', mean)
  // beyond a narrower cut, nearly every number would be drawn again
  number('truncatedNormal', 'cut', cut, 0.01)
  return leaf => normalNumbers(leaf, std, mean, cut)
}

/** The standard deviation of a standard normal number that is cut at ±2. */
const cutDeviation = 0.8796256610342398

type Variance = (fans: Fans) => number
/** Uniform numbers with a mean of 0 and a variance that depends on the fans. */
const uniformOf =
  (name: string, variance: Variance) =>
  (options: FanOptions = {}): Initializer =>
  leaf => {
    const limit = Math.sqrt(3 * variance(fansOf(name, leaf, options)))
    return between(leaf, -limit, limit)
  }
/** Normal numbers, cut at two deviations and stretched to the variance, as in JAX and Keras. */
const normalOf =
  (name: string, variance: Variance) =>
  (options: FanOptions = {}): Initializer =>
  leaf =>
    normalNumbers(leaf, Math.sqrt(variance(fansOf(name, leaf, options))) / cutDeviation, 0, 2)

const glorot: Variance = ({ fanIn, fanOut }) => 2 / (fanIn + fanOut)
const he: Variance = ({ fanIn }) => 2 / fanIn
const lecun: Variance = ({ fanIn }) => 1 / fanIn

/**
 * Uniform numbers within ±√(6 / (fanIn + fanOut)) (Glorot and Bengio 2010), usual before tanh or nothing.
 * @example glorotUniform()
 */
export const glorotUniform = uniformOf('glorotUniform', glorot)
/**
 * Normal numbers with a deviation of √(2 / (fanIn + fanOut)), cut at about 2.3 deviations (Glorot and Bengio 2010).
 * @example glorotNormal()
 */
export const glorotNormal = normalOf('glorotNormal', glorot)
/** Uniform numbers within ±√(6 / fanIn) (He et al. 2015), usual before relu. @example heUniform() */
export const heUniform = uniformOf('heUniform', he)
/**
 * Normal numbers with a deviation of √(2 / fanIn), cut at about 2.3 deviations (He et al. 2015), usual before relu.
 * @example heNormal()
 */
export const heNormal = normalOf('heNormal', he)
/** Uniform numbers within ±√(3 / fanIn) (LeCun et al. 1998), usual before selu. @example lecunUniform() */
export const lecunUniform = uniformOf('lecunUniform', lecun)
/**
 * Normal numbers with a deviation of √(1 / fanIn), cut at about 2.3 deviations (LeCun et al. 1998), usual before selu.
 * @example lecunNormal()
 */
export const lecunNormal = normalOf('lecunNormal', lecun)

/** The settings of {@link varianceScaling}. */
export interface VarianceScaling extends FanOptions {
  /** The variance times the fan (default 1). */
  readonly scale?: number
  /** The fan: the inputs of an output (the default), the outputs of an input, or the mean of both. */
  readonly fan?: 'in' | 'out' | 'mean'
  /** Default: normal, cut at two deviations. */
  readonly distribution?: 'truncatedNormal' | 'uniform'
}

/**
 * Numbers with the variance scale / fan, of which the named initializers are cases; like
 * `jax.nn.initializers.variance_scaling`.
 * @example varianceScaling({ scale: 2, fan: 'out', distribution: 'uniform' })
 */
export const varianceScaling = ({
  scale = 1,
  fan = 'in',
  distribution = 'truncatedNormal',
  ...axes
}: VarianceScaling = {}): Initializer => {
  number('varianceScaling', 'scale', scale, 0)
  const of: Variance = ({ fanIn, fanOut }) =>
    scale / (fan === 'in' ? fanIn : fan === 'out' ? fanOut : (fanIn + fanOut) / 2)
  return (distribution === 'uniform' ? uniformOf : normalOf)('varianceScaling', of)(axes)
}
