import type { Kernels } from '../../src/backend/tfjs/wasm/index.ts'
import { nf4Codebook, nf4Place, randomWords } from '../../src/tensor/index.ts'
import { uniform } from './wasm-runtime.ts'
import { windowSubjects } from './wasm-windows.ts'

type Data = Float32Array | Int32Array

/** A kernel at one random shape: its inputs, its call, and the result of float64 arithmetic. */
export interface Case {
  readonly inputs: readonly Data[]
  /** Lengths of the outputs; an in-place kernel names the inputs it changes instead. */
  readonly outputs: readonly number[]
  readonly inPlace?: readonly number[]
  readonly call: (kernels: Kernels, inputs: readonly number[], outputs: readonly number[]) => void
  readonly want: (inputs: readonly Data[]) => readonly (readonly number[])[]
}

/** Sizes a (up to 7), b and c (up to 40), and a stream of numbers in [0, 1). */
export type Subject = (a: number, b: number, c: number, next: () => number) => Case

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
const at = (data: ArrayLike<number> | undefined, i: number): number => data?.[i] ?? Number.NaN
const sum = (values: readonly number[]): number => values.reduce((s, x) => s + x, 0)
const row = (data: Data | undefined, r: number, cols: number): number[] => range(cols).map(j => at(data, r * cols + j))
const indices = (next: () => number, n: number, below: number): Int32Array =>
  Int32Array.from({ length: n }, () => Math.floor(next() * below))
const distinct = (next: () => number, n: number, below: number): Int32Array =>
  Int32Array.from(
    range(below)
      .map(i => [next(), i] as const)
      .sort(([x], [y]) => x - y)
      .slice(0, n)
      .map(([, i]) => i),
  )

const words = (next: () => number, n: number): Int32Array =>
  Int32Array.from({ length: n }, () => Math.floor(next() * 2 ** 32))

const unary =
  (
    name: 'exp' | 'log' | 'log1p' | 'sigmoid' | 'tanh' | 'erf' | 'rsqrt' | 'sqrt' | 'silu' | 'neg' | 'abs',
    f: (x: number) => number,
    low = -4,
    high = 4,
  ): Subject =>
  (_a, b, _c, next) => ({
    inputs: [uniform(next, b, low, high)],
    outputs: [b],
    call: (k, [x = 0], [y = 0]) => k[name](x, y, b),
    want: ([x]) => [range(b).map(i => f(at(x, i)))],
  })

/** The error function by its series. */
const erf = (x: number): number => {
  let [term, total] = [x, x]
  for (let n = 1; n < 200; n++) {
    term *= (-x * x) / n
    total += term / (2 * n + 1)
  }
  return (2 / Math.sqrt(Math.PI)) * total
}
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))
const softmaxOf = (values: readonly number[], scale: number): number[] => {
  const top = Math.max(...values)
  const e = values.map(x => Math.exp(scale * (x - top)))
  return e.map(x => x / sum(e))
}
const standardized = (values: readonly number[]) => {
  const mean = sum(values) / values.length
  const rstd = 1 / Math.sqrt(sum(values.map(x => (x - mean) ** 2)) / values.length + 1e-3)
  return { rstd, y: values.map(x => (x - mean) * rstd) }
}
const difference = (f: (x: number) => number, x: number): number => (f(x + 1e-5) - f(x - 1e-5)) / 2e-5

const binary =
  (name: 'add' | 'sub' | 'mul' | 'div' | 'max' | 'min', f: (x: number, y: number) => number): Subject =>
  (a, b, _c, next) => {
    const pick = Math.floor(next() * 8)
    const [aCol, bRow, bCol] = [pick & 1, (pick >> 1) & 1, (pick >> 2) & 1]
    return {
      inputs: [uniform(next, a * b), uniform(next, a * b, 0.5, 2)],
      outputs: [a * b],
      call: (k, [x = 0, y = 0], [z = 0]) => k[name](x, y, z, a, b, aCol ? b : 1, aCol, bRow ? b : 0, bCol),
      want: ([x, y]) => [
        range(a).flatMap(r =>
          range(b).map(c => f(at(x, r * (aCol ? b : 1) + c * aCol), at(y, r * (bRow ? b : 0) + c * bCol))),
        ),
      ],
    }
  }

const rope =
  (name: 'rope' | 'ropeInverse', sign: number): Subject =>
  (a, b, c, next) => {
    const [rows, half, seq] = [a * c, Math.ceil(b / 4), c]
    return {
      inputs: [uniform(next, rows * 2 * half), uniform(next, (seq + 1) * half), uniform(next, (seq + 1) * half)],
      outputs: [rows * 2 * half],
      call: (k, [x = 0, cos = 0, sin = 0], [y = 0]) => k[name](x, y, rows, 2 * half, cos, sin, half, a, seq, 1),
      want: ([x, cos, sin]) => [
        range(rows).flatMap(r =>
          range(2 * half).map(i => {
            const table = (1 + (Math.floor(r / a) % seq)) * half + (i % half)
            const [first, second] = [at(x, r * 2 * half + (i % half)), at(x, r * 2 * half + half + (i % half))]
            return i < half
              ? first * at(cos, table) - sign * second * at(sin, table)
              : second * at(cos, table) + sign * first * at(sin, table)
          }),
        ),
      ],
    }
  }

const labelsOf = (next: () => number, n: number, vocab: number): Int32Array =>
  Int32Array.from({ length: n }, (_, i) => (i > 0 && next() < 0.2 ? -100 : Math.floor(next() * vocab)))

const crossEntropyOf = (logits: readonly number[], label: number): number => {
  const top = Math.max(...logits)
  return label < 0 ? 0 : top + Math.log(sum(logits.map(x => Math.exp(x - top)))) - at(logits, label)
}
const crossEntropyGradientOf = (logits: readonly number[], label: number, weight: number): number[] =>
  label < 0 ? logits.map(() => 0) : softmaxOf(logits, 1).map((p, i) => weight * (p - (i === label ? 1 : 0)))

/** Every kernel, with its meaning in float64. */
export const subjects: {
  readonly [
    K in Exclude<keyof Kernels, 'permuteTranspose' | 'permuteCopy' | 'randomBits' | 'runSteps' | 'stepsScratch'>
  ]: Subject
} = {
  copyBlocks: (a, b, c, next) => ({
    inputs: [uniform(next, a * (b + c))],
    outputs: [a * b],
    call: (k, [x = 0], [y = 0]) => k.copyBlocks(x + 4 * c, y, a, b, b + c, b),
    want: ([x]) => [range(a).flatMap(i => range(b).map(j => at(x, i * (b + c) + c + j)))],
  }),
  firstOutOfRange: (_a, b, c, next) => ({
    inputs: [Int32Array.from({ length: b }, () => Math.floor(next() * (c + 1)) - (next() < 0.05 ? 1 : 0))],
    outputs: [1],
    call: (k, [x = 0], [y = 0]) => k.fill(y, 1, k.firstOutOfRange(x, b, c)),
    want: ([x]) => [[Array.from(x ?? []).findIndex(i => i < 0 || i >= c)]],
  }),
  takeRows: (a, b, c, next) => ({
    inputs: [uniform(next, b * c), indices(next, a, b)],
    outputs: [a * c],
    call: (k, [x = 0, index = 0], [y = 0]) => k.takeRows(x, index, y, a, c),
    want: ([x, index]) => [range(a).flatMap(i => row(x, at(index, i), c))],
  }),
  putRows: (a, b, c, next) => ({
    inputs: [uniform(next, (a + b) * c), uniform(next, a * c), distinct(next, a, a + b)],
    outputs: [],
    inPlace: [0],
    call: (k, [y = 0, x = 0, index = 0]) => k.putRows(x, index, y, a, c),
    want: ([y, x, index]) => [
      range(a + b).flatMap(r => {
        const i = Array.from(index ?? []).indexOf(r)
        return i < 0 ? row(y, r, c) : row(x, i, c)
      }),
    ],
  }),
  scatterAddRows: (a, b, c, next) => ({
    inputs: [uniform(next, b * c), uniform(next, a * c), indices(next, a, b)],
    outputs: [],
    inPlace: [0],
    call: (k, [y = 0, x = 0, index = 0]) => k.scatterAddRows(x, index, y, a, c),
    want: ([y, x, index]) => [
      range(b).flatMap(r =>
        range(c).map(
          j =>
            at(y, r * c + j) +
            sum(
              range(a)
                .filter(i => at(index, i) === r)
                .map(i => at(x, i * c + j)),
            ),
        ),
      ),
    ],
  }),
  takeColumns: (a, b, c, next) => ({
    inputs: [uniform(next, b * c), indices(next, a, c)],
    outputs: [b * a],
    call: (k, [x = 0, index = 0], [y = 0]) => k.takeColumns(x, index, y, b, c, a),
    want: ([x, index]) => [range(b).flatMap(r => range(a).map(i => at(x, r * c + at(index, i))))],
  }),
  putColumns: (a, b, c, next) => ({
    inputs: [uniform(next, b * (a + c)), uniform(next, b * a), distinct(next, a, a + c)],
    outputs: [],
    inPlace: [0],
    call: (k, [y = 0, x = 0, index = 0]) => k.putColumns(x, index, y, b, a + c, a),
    want: ([y, x, index]) => [
      range(b).flatMap(r =>
        range(a + c).map(j => {
          const i = Array.from(index ?? []).indexOf(j)
          return i < 0 ? at(y, r * (a + c) + j) : at(x, r * a + i)
        }),
      ),
    ],
  }),
  scatterAddColumns: (a, b, c, next) => ({
    inputs: [uniform(next, b * c), uniform(next, b * a), indices(next, a, c)],
    outputs: [],
    inPlace: [0],
    call: (k, [y = 0, x = 0, index = 0]) => k.scatterAddColumns(x, index, y, b, c, a),
    want: ([y, x, index]) => [
      range(b).flatMap(r =>
        range(c).map(
          j =>
            at(y, r * c + j) +
            sum(
              range(a)
                .filter(i => at(index, i) === j)
                .map(i => at(x, r * a + i)),
            ),
        ),
      ),
    ],
  }),
  softmax: (a, b, _c, next) => ({
    inputs: [uniform(next, a * b, -9, 9)],
    outputs: [a * b],
    call: (k, [x = 0], [y = 0]) => k.softmax(x, y, a, b, 0.7),
    want: ([x]) => [range(a).flatMap(r => softmaxOf(row(x, r, b), 0.7))],
  }),
  softmaxCausal: (a, b, _c, next) => ({
    inputs: [uniform(next, a * b * (b + 1), -9, 9)],
    outputs: [a * b * (b + 1)],
    call: (k, [x = 0], [y = 0]) => k.softmaxCausal(x, y, a * b, b + 1, 0.7, b, 1),
    want: ([x]) => [
      range(a * b).flatMap(r => {
        const seen = (r % b) + 2
        return [...softmaxOf(row(x, r, b + 1).slice(0, seen), 0.7), ...range(b + 1 - seen).map(() => 0)]
      }),
    ],
  }),
  softmaxBackward: (a, b, _c, next) => ({
    inputs: [uniform(next, a * b, 0, 1), uniform(next, a * b)],
    outputs: [a * b],
    call: (k, [p = 0, dp = 0], [ds = 0]) => k.softmaxBackward(p, dp, ds, a, b, 0.7),
    want: ([p, dp]) => [
      range(a).flatMap(r => {
        const dot = sum(range(b).map(j => at(p, r * b + j) * at(dp, r * b + j)))
        return range(b).map(j => 0.7 * at(p, r * b + j) * (at(dp, r * b + j) - dot))
      }),
    ],
  }),
  softmaxVisible: (a, b, _c, next) => ({
    inputs: [uniform(next, a * b, -9, 9).map((x, i) => (i < b || i % 3 === 1 ? -3e38 : x))],
    outputs: [a * b],
    call: (k, [x = 0], [y = 0]) => k.softmaxVisible(x, y, a, b, -1e30),
    want: ([x]) => [
      range(a).flatMap(r => {
        const scores = row(x, r, b)
        const visible = scores.filter(score => score >= -1e30)
        const weights = [...softmaxOf(visible, 1)]
        return scores.map(score => (score >= -1e30 ? weights.shift()! : 0))
      }),
    ],
  }),
  standardize: (a, b, _c, next) => ({
    inputs: [uniform(next, a * b)],
    outputs: [a * b],
    call: (k, [x = 0], [y = 0]) => k.standardize(x, y, a, b, 1e-3),
    want: ([x]) => [range(a).flatMap(r => standardized(row(x, r, b)).y)],
  }),
  standardizeBackward: (a, b, _c, next) => ({
    inputs: [uniform(next, a * b), uniform(next, a * b)],
    outputs: [a * b],
    call: (k, [dy = 0, x = 0], [dx = 0]) => k.standardizeBackward(dy, x, dx, a, b, 1e-3),
    want: ([dy, x]) => [
      range(a).flatMap(r => {
        const { y, rstd } = standardized(row(x, r, b))
        const d = row(dy, r, b)
        const drift = sum(d) / b
        const dot = sum(d.map((v, j) => v * at(y, j))) / b
        return d.map((v, j) => rstd * (v - drift - at(y, j) * dot))
      }),
    ],
  }),
  rmsNorm: (a, b, _c, next) => ({
    inputs: [uniform(next, a * b), uniform(next, b)],
    outputs: [a * b, a],
    call: (k, [x = 0, g = 0], [y = 0, rstd = 0]) => k.rmsNorm(x, g, y, rstd, a, b, 1e-5),
    want: ([x, g]) => {
      const rstd = range(a).map(r => 1 / Math.sqrt(sum(row(x, r, b).map(v => v * v)) / b + 1e-5))
      return [range(a).flatMap(r => range(b).map(j => at(x, r * b + j) * at(rstd, r) * at(g, j))), rstd]
    },
  }),
  rmsNormBackward: (a, b, c, next) => ({
    inputs: [
      uniform(next, a * b),
      uniform(next, a * b),
      uniform(next, a * b),
      uniform(next, b),
      uniform(next, a, 0.3, 1),
    ],
    outputs: [],
    inPlace: [0],
    call: (k, [dx = 0, dy = 0, x = 0, g = 0, rstd = 0]) => k.rmsNormBackward(dy, x, g, rstd, dx, a, b, c % 2),
    want: ([dx, dy, x, g, rstd]) => [
      range(a).flatMap(r => {
        const dot = sum(range(b).map(j => at(g, j) * at(dy, r * b + j) * at(x, r * b + j)))
        const before = (j: number): number => (c % 2) * at(dx, r * b + j)
        return range(b).map(
          j => before(j) + at(rstd, r) * at(g, j) * at(dy, r * b + j) - (at(x, r * b + j) * at(rstd, r) ** 3 * dot) / b,
        )
      }),
    ],
  }),
  exp: unary('exp', Math.exp),
  log: unary('log', Math.log, 0.001, 9),
  log1p: unary('log1p', Math.log1p, -0.999, 9),
  sigmoid: unary('sigmoid', sigmoid),
  tanh: unary('tanh', Math.tanh),
  erf: unary('erf', erf),
  rsqrt: unary('rsqrt', x => 1 / Math.sqrt(x), 0.01, 9),
  sqrt: unary('sqrt', Math.sqrt, 0, 9),
  silu: unary('silu', x => x * sigmoid(x)),
  neg: unary('neg', x => -x),
  abs: unary('abs', Math.abs),
  siluBackward: (_a, b, _c, next) => ({
    inputs: [uniform(next, b), uniform(next, b)],
    outputs: [b],
    call: (k, [dy = 0, x = 0], [dx = 0]) => k.siluBackward(dy, x, dx, b),
    want: ([dy, x]) => [range(b).map(i => at(dy, i) * difference(v => v * sigmoid(v), at(x, i)))],
  }),
  rope: rope('rope', 1),
  ropeInverse: rope('ropeInverse', -1),
  add: binary('add', (x, y) => x + y),
  sub: binary('sub', (x, y) => x - y),
  mul: binary('mul', (x, y) => x * y),
  div: binary('div', (x, y) => x / y),
  max: binary('max', Math.max),
  min: binary('min', Math.min),
  repeat: (a, b, _c, next) => {
    const [row, col] = [next() < 0.5 ? b : 0, next() < 0.5 ? 1 : 0]
    return {
      inputs: [uniform(next, a * b)],
      outputs: [a * b],
      call: (k, [x = 0], [y = 0]) => k.repeat(x, y, a, b, row, col),
      want: ([x]) => [range(a).flatMap(r => range(b).map(c => at(x, r * row + c * col)))],
    }
  },
  fill: (_a, b, _c, next) => ({
    inputs: [uniform(next, 1)],
    outputs: [b],
    call: (k, _inputs, [y = 0]) => k.fill(y, b, 0.25),
    want: () => [range(b).map(() => 0.25)],
  }),
  sumRows: (a, b, _c, next) => ({
    inputs: [uniform(next, a * b)],
    outputs: [a],
    call: (k, [x = 0], [y = 0]) => k.sumRows(x, y, a, b),
    want: ([x]) => [range(a).map(r => sum(row(x, r, b)))],
  }),
  sumColumns: (a, b, c, next) => ({
    inputs: [uniform(next, a * b * c)],
    outputs: [a * c],
    call: (k, [x = 0], [y = 0]) => k.sumColumns(x, y, a, b, c),
    want: ([x]) => [range(a).flatMap(i => range(c).map(j => sum(range(b).map(r => at(x, (i * b + r) * c + j)))))],
  }),
  maxRows: (a, b, _c, next) => ({
    inputs: [uniform(next, a * b, -3, -1)],
    outputs: [a],
    call: (k, [x = 0], [y = 0]) => k.maxRows(x, y, a, b),
    want: ([x]) => [range(a).map(r => Math.max(...row(x, r, b)))],
  }),
  crossEntropy: (a, b, _c, next) => ({
    inputs: [uniform(next, a * b, -9, 9), labelsOf(next, a, b)],
    outputs: [a],
    call: (k, [x = 0, labels = 0], [loss = 0]) => k.crossEntropy(x, labels, loss, a, b),
    want: ([x, labels]) => [range(a).map(r => crossEntropyOf(row(x, r, b), at(labels, r)))],
  }),
  crossEntropyGradient: (a, b, _c, next) => ({
    inputs: [uniform(next, a * b, -9, 9), labelsOf(next, a, b), uniform(next, a)],
    outputs: [a, a * b],
    call: (k, [x = 0, labels = 0, weight = 0], [loss = 0, dx = 0]) =>
      k.crossEntropyGradient(x, labels, weight, loss, dx, a, b),
    want: ([x, labels, weight]) => [
      range(a).map(r => crossEntropyOf(row(x, r, b), at(labels, r))),
      range(a).flatMap(r => crossEntropyGradientOf(row(x, r, b), at(labels, r), at(weight, r))),
    ],
  }),
  dequantizeNF4: (a, _b, _c, next) => ({
    inputs: [words(next, 8 * a), uniform(next, a)],
    outputs: [64 * a],
    call: (k, [codes = 0, absmax = 0], [y = 0]) => k.dequantizeNF4(codes, absmax, y, a),
    want: ([codes, absmax]) => [
      range(64 * a).map(i => {
        const { word, shift } = nf4Place(i)
        return at(nf4Codebook, (at(codes, word) >>> shift) & 15) * at(absmax, i >> 6)
      }),
    ],
  }),
  dropout: (a, b, c, next) => ({
    inputs: [uniform(next, b + 40 * a), words(next, 3), words(next, 1)],
    outputs: [b + 40 * a],
    call: (k, [x = 0, key = 0, stream = 0], [y = 0]) =>
      k.dropout(x, key, stream, y, b + 40 * a, 50_000_000 * (c - 20), 1.5),
    want: ([x, key, stream]) => [
      Array.from(
        randomWords({ seedLow: at(key, 0), seedHigh: at(key, 1), draw: at(key, 2), stream: at(stream, 0) }, b + 40 * a),
        (word, i) => (word >= 50_000_000 * (c - 20) ? 1.5 * at(x, i) : 0),
      ),
    ],
  }),
  matrixVector: (_a, b, c, next) => ({
    inputs: [uniform(next, b * c), uniform(next, c)],
    outputs: [b],
    call: (k, [w = 0, x = 0], [y = 0]) => k.matrixVector(w, x, y, b, c),
    want: ([w, x]) => [range(b).map(r => sum(range(c).map(j => at(w, r * c + j) * at(x, j))))],
  }),
  vectorMatrix: (_a, b, c, next) => ({
    inputs: [uniform(next, b), uniform(next, b * c)],
    outputs: [c],
    call: (k, [x = 0, w = 0], [y = 0]) => k.vectorMatrix(x, w, y, b, c),
    want: ([x, w]) => [range(c).map(j => sum(range(b).map(r => at(x, r) * at(w, r * c + j))))],
  }),
  ...windowSubjects,
}
