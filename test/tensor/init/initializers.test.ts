import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import {
  constant,
  glorotNormal,
  glorotUniform,
  heNormal,
  heUniform,
  lecunNormal,
  lecunUniform,
  normal,
  ones,
  deltaOrthogonal,
  orthogonal,
  truncatedNormal,
  uniform,
  varianceScaling,
  zeros,
  type FanOptions,
  type Initializer,
} from '../../../src/tensor/init/index.ts'
import { hashName, normals } from '../../../src/tensor/random.ts'

const sizes = [600, 400] as const
const valuesOf = (initializer: Initializer, of: readonly number[] = sizes, path = 'w', seed = 0): Float32Array =>
  initializer({ seed, path, sizes: of })

interface Moments {
  readonly mean: number
  readonly std: number
  readonly most: number
  /** The fourth moment in terms of the deviation: 1.8 if uniform, 3 if normal, 2.37 if cut at two deviations. */
  readonly kurtosis: number
}
const moments = (data: ArrayLike<number>): Moments => {
  const all = Array.from(data)
  const mean = all.reduce((sum, x) => sum + x, 0) / all.length
  const central = (power: number): number => all.reduce((sum, x) => sum + (x - mean) ** power, 0) / all.length
  const std = Math.sqrt(central(2))
  return { mean, std, most: all.reduce((most, x) => Math.max(most, Math.abs(x)), 0), kurtosis: central(4) / std ** 4 }
}
const isNear = (a: number, b: number, relative: number): boolean => Math.abs(a - b) <= relative * Math.abs(b)

interface Golden {
  readonly std: number
  readonly most: number
}
const golden = JSON.parse(readFileSync(new URL('../../golden/values/init.json', import.meta.url), 'utf8')) as Readonly<
  Record<string, { readonly jax: Golden; readonly torch: Golden }>
>
const initializers: Readonly<Record<string, Initializer>> = {
  glorotUniform: glorotUniform(),
  glorotNormal: glorotNormal(),
  heUniform: heUniform(),
  heNormal: heNormal(),
  lecunUniform: lecunUniform(),
  lecunNormal: lecunNormal(),
  truncatedNormal: truncatedNormal({ std: 0.02 }),
}
const [fanIn, fanOut] = sizes
/** The formulas of the deviations, and the largest number that is possible, in deviations. */
const formulas: Readonly<Record<string, readonly [std: number, most: number, kurtosis: number]>> = {
  glorotUniform: [Math.sqrt(2 / (fanIn + fanOut)), Math.sqrt(3), 1.8],
  glorotNormal: [Math.sqrt(2 / (fanIn + fanOut)), 2 / 0.87962566, 2.37],
  heUniform: [Math.sqrt(2 / fanIn), Math.sqrt(3), 1.8],
  heNormal: [Math.sqrt(2 / fanIn), 2 / 0.87962566, 2.37],
  lecunUniform: [Math.sqrt(1 / fanIn), Math.sqrt(3), 1.8],
  lecunNormal: [Math.sqrt(1 / fanIn), 2 / 0.87962566, 2.37],
  truncatedNormal: [0.02 * 0.87962566, 2 / 0.87962566, 2.37],
}

for (const [name, initializer] of Object.entries(initializers))
  test(`${name} has the deviation of its formula, which is that of JAX and PyTorch, and the bound of JAX`, () => {
    const { mean, std, most, kurtosis } = moments(valuesOf(initializer))
    const [wanted, bound, shape] = formulas[name]!
    assert.ok(isNear(std, wanted, 0.005), `${std} is not ${wanted}`)
    assert.ok(isNear(std, golden[name]!.jax.std, 0.01) && isNear(std, golden[name]!.torch.std, 0.01))
    assert.ok(Math.abs(mean) < 0.01 * std, `the mean is ${mean}`)
    assert.ok(most <= bound * wanted * (1 + 1e-6) && most > 0.99 * bound * wanted, `${most} of ${bound * wanted}`)
    assert.ok(isNear(most, golden[name]!.jax.most, 0.01))
    assert.ok(isNear(kurtosis, shape, 0.02), `the kurtosis is ${kurtosis}`)
  })

test('the named initializers are cases of varianceScaling, which also divides by the outputs', () => {
  for (const [general, named] of [
    [varianceScaling({ scale: 1, fan: 'mean', distribution: 'uniform' }), glorotUniform()],
    [varianceScaling({ scale: 2, fan: 'in' }), heNormal()],
    [varianceScaling(), lecunNormal()],
  ] as const)
    assert.deepEqual(valuesOf(general, [6, 4]), valuesOf(named, [6, 4]))
  const { std } = moments(valuesOf(varianceScaling({ scale: 3, fan: 'out', distribution: 'uniform' })))
  assert.ok(isNear(std, Math.sqrt(3 / fanOut), 0.005))
})

test('a deviation that is not corrected for the cut is found out', () => {
  const { std } = moments(valuesOf(truncatedNormal({ std: formulas['heNormal']![0] })))
  assert.ok(!isNear(std, formulas['heNormal']![0], 0.005))
})

test('normal numbers have their mean, deviation and tails; uniform ones their bounds', () => {
  const gauss = moments(valuesOf(normal({ std: 0.5, mean: 2 })))
  assert.ok(isNear(gauss.mean, 2, 0.002) && isNear(gauss.std, 0.5, 0.005) && isNear(gauss.kurtosis, 3, 0.03))
  const flat = valuesOf(uniform({ min: -1, max: 3 }))
  const { mean, std } = moments(flat)
  assert.ok(isNear(mean, 1, 0.01) && isNear(std, 4 / Math.sqrt(12), 0.005))
  assert.ok(flat.every(x => x >= -1 && x <= 3) && flat.some(x => x < -0.99) && flat.some(x => x > 2.99))
  const narrow = valuesOf(truncatedNormal({ std: 1, mean: 5, cut: 0.5 }))
  assert.ok(narrow.every(x => Math.abs(x - 5) <= 0.5) && narrow.some(x => Math.abs(x - 5) > 0.49))
})

test('the share of normal numbers below any bound is that of the normal distribution', () => {
  const source = normals(3, 7)
  const drawn = Array.from({ length: 50_000 }, () => source.next().value)
  for (const [bound, share] of [
    [-2, 0.02275],
    [-1, 0.15866],
    [0, 0.5],
    [1, 0.84134],
    [3, 0.99865],
  ] as const) {
    const found = drawn.filter(x => x < bound).length / drawn.length
    assert.ok(Math.abs(found - share) < 4 * Math.sqrt((share * (1 - share)) / drawn.length), `${found} below ${bound}`)
  }
  const lag = drawn.slice(1).reduce((sum, x, i) => sum + x * drawn[i]!, 0) / drawn.length
  assert.ok(Math.abs(lag) < 0.02, 'neighbours do not depend on each other')
})

test('constants, zeros and ones', () => {
  assert.deepEqual(valuesOf(constant(0.25), [3]), Float32Array.of(0.25, 0.25, 0.25))
  assert.deepEqual([valuesOf(zeros(), [1]), valuesOf(ones(), [1])], [Float32Array.of(0), Float32Array.of(1)])
})

const product = (data: Float32Array, rows: number, columns: number, of: 'rows' | 'columns'): readonly number[] => {
  const n = of === 'rows' ? rows : columns
  const at = (vector: number, i: number): number =>
    of === 'rows' ? data[vector * columns + i]! : data[i * columns + vector]!
  const length = of === 'rows' ? columns : rows
  return Array.from({ length: n * n }, (_, k) => {
    let sum = 0
    for (let i = 0; i < length; i++) sum += at(Math.floor(k / n), i) * at(k % n, i)
    return sum
  })
}

test('deltaOrthogonal is an orthogonal matrix at the middle place of a kernel, and zeros elsewhere', () => {
  const matrix = valuesOf(orthogonal({ gain: 2 }), [2, 5])
  for (const [field, middle] of [
    [[3, 3], 4],
    [[5], 2],
    [[4, 1, 3], 4],
  ] as const) {
    const kernel = valuesOf(deltaOrthogonal({ gain: 2 }), [...field, 2, 5])
    assert.deepEqual(kernel.slice(10 * middle, 10 * middle + 10), matrix)
    assert.equal(kernel.filter(x => x !== 0).length, 10)
  }
})

test('orthogonal gives orthonormal columns of a tall matrix and rows of a wide one, times the gain', () => {
  for (const [rows, columns, of] of [
    [20, 7, 'columns'],
    [7, 20, 'rows'],
    [16, 16, 'rows'],
    [16, 16, 'columns'],
  ] as const) {
    const found = product(valuesOf(orthogonal({ gain: 3 }), [rows, columns]), rows, columns, of)
    const n = Math.min(rows, columns)
    found.forEach((x, k) => assert.ok(Math.abs(x - (Math.floor(k / n) === k % n ? 9 : 0)) < 1e-5, `${x} at ${k}`))
  }
  const stacked = product(valuesOf(orthogonal(), [4, 5, 3]), 20, 3, 'columns')
  stacked.forEach((x, k) => assert.ok(Math.abs(x - (k % 4 === 0 ? 1 : 0)) < 1e-6))
  // every direction is equally likely: an entry of a 2 × 2 rotation or reflection has the mean 0 and the variance 1/2
  const entries = Array.from({ length: 2000 }, (_, seed) => valuesOf(orthogonal(), [2, 2], 'w', seed)[0]!)
  const { mean, std } = moments(entries)
  assert.ok(Math.abs(mean) < 0.05 && Math.abs(std ** 2 - 0.5) < 0.03)
  const turned = Array.from({ length: 400 }, (_, seed) => {
    const [a, b, c, d] = valuesOf(orthogonal(), [2, 2], 'w', seed)
    return a! * d! - b! * c! > 0
  })
  assert.ok(Math.abs(turned.filter(Boolean).length - 200) < 60, 'rotations are as likely as reflections')
})

test('values depend on the seed and the path, and on nothing else', () => {
  const one = valuesOf(normal({ std: 1 }), [5], 'layers.0.up', 3)
  assert.deepEqual(valuesOf(normal({ std: 1 }), [5], 'layers.0.up', 3), one)
  assert.notDeepEqual(valuesOf(normal({ std: 1 }), [5], 'layers.1.up', 3), one)
  assert.notDeepEqual(valuesOf(normal({ std: 1 }), [5], 'layers.0.up', 4), one)
  assert.notDeepEqual(valuesOf(normal({ std: 1 }), [5], 'layers.0.up', 3 + 2 ** 32), one)
  assert.equal(normals(3, hashName('layers.0.up')).next().value, normals(3, hashName('layers.0.up')).next().value)
})

test('fans are those of [in, out], of the named axes, and of a receptive field', () => {
  const deviation = (options: FanOptions, of: readonly number[]): number => moments(valuesOf(heNormal(options), of)).std
  // √(2 / fanIn)
  for (const [options, of, inputs] of [
    [{}, [50, 400], 50],
    [{ in: 0, out: [1, 2] }, [50, 20, 20], 50],
    [{ in: [0, 1], out: -1 }, [10, 5, 400], 50],
    [{ in: -1, out: -2 }, [400, 50], 50],
    [{}, [3, 3, 10, 200], 90],
  ] as const)
    assert.ok(isNear(deviation(options, of), Math.sqrt(2 / inputs), 0.03), `${of}: ${deviation(options, of)}`)
})

test('what has no meaning is refused in one sentence', () => {
  for (const [make, text] of [
    [() => normal({ std: -1 }), 'init: std of normal is -1: it is a finite number, at least 0'],
    [() => normal({ std: NaN }), 'init: std of normal is NaN: it is a finite number, at least 0'],
    [() => uniform({ min: 1, max: 0 }), 'init: max of uniform is 0: it is a finite number, at least 1'],
    [
      () => truncatedNormal({ std: 1, cut: 0 }),
      'init: cut of truncatedNormal is 0: it is a finite number, at least 0.01',
    ],
    [() => varianceScaling({ scale: -1 }), 'init: scale of varianceScaling is -1: it is a finite number, at least 0'],
    [() => constant(Infinity), 'init: the value of constant is Infinity: it is a finite number'],
    [() => orthogonal({ gain: NaN }), 'init: gain of orthogonal is NaN: it is a finite number'],
    [
      () => valuesOf(glorotUniform(), [4], 'bias'),
      'init: glorotUniform reads axis -2 of bias, whose sizes are [4]: specify in and out, or another initializer',
    ],
    [
      () => valuesOf(heNormal({ in: 1 }), [4, 4]),
      'init: heNormal reads an axis of w twice: in and out name different axes',
    ],
    [
      () => valuesOf(deltaOrthogonal(), [4, 4], 'w'),
      'init: deltaOrthogonal needs a kernel with at least as many outputs as inputs, and the sizes of w are [4, 4]',
    ],
    [
      () => valuesOf(deltaOrthogonal(), [3, 4, 2], 'w'),
      'init: deltaOrthogonal needs a kernel with at least as many outputs as inputs, and the sizes of w are [3, 4, 2]',
    ],
    [() => valuesOf(orthogonal(), [4], 'bias'), 'init: orthogonal needs a matrix, and the sizes of bias are [4]'],
  ] as const)
    assert.throws(make, new RangeError(text))
})
