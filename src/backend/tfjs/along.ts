import { around, count, outside, type DType, type Ordering, type TakeAttributes } from '../../tensor/index.ts'
import { SessionError } from '../device.ts'
import { attributesOf, type Lowering, type Lowerings } from './lowering.ts'
import type { TensorInfo } from './wasm/index.ts'

/** Ops along one axis at places that depend on data: loops on the host, because no kernel of tfjs means the same. */

type Data = Float32Array | Int32Array | Uint8Array
type Make = (data: Data, sizes: readonly number[], dtype: DType) => TensorInfo

const empty = (dtype: DType, n: number): Data =>
  dtype === 'i32' ? new Int32Array(n) : dtype === 'bool' ? new Uint8Array(n) : new Float32Array(n)

const axisOf = ({ node }: Parameters<Lowering>[0]): number => attributesOf<TakeAttributes>(node).axis

const checkIndex = (op: string, index: ArrayLike<number>, below: number): void => {
  const wrong = outside(index, below)
  if (wrong !== undefined) throw new SessionError(`${op}: ${wrong}`)
}

/** Calls a function for every element of an array, with the offset of its row, whose elements are `inner` apart. */
const eachElement = (
  [outer, m, inner]: readonly [outer: number, m: number, inner: number],
  n: number,
  f: (i: number, row: number) => void,
): void => {
  let i = 0
  for (let o = 0; o < outer; o++) for (let k = 0; k < m; k++) for (let j = 0; j < inner; j++) f(i++, o * n * inner + j)
}

const takeAlong =
  (make: Make): Lowering =>
  call => {
    const { sizes, dtype } = call.output
    const [, n, inner] = around(call.inputs[0]!.sizes, axisOf(call))
    const elements = around(sizes, axisOf(call))
    return {
      reads: [0, 1],
      run: ([x, index]) => {
        checkIndex('takeAlong', index!, n)
        const y = empty(dtype, count(sizes))
        eachElement(elements, n, (i, row) => {
          y[i] = x![row + index![i]! * inner]!
        })
        return make(y, sizes, dtype)
      },
    }
  }

const scatterAlong =
  (make: Make): Lowering =>
  call => {
    const { sizes, dtype } = call.output
    const [, n, inner] = around(sizes, axisOf(call))
    const elements = around(call.inputs[1]!.sizes, axisOf(call))
    return {
      reads: [0, 1],
      run: ([index, x]) => {
        checkIndex('scatterAlong', index!, n)
        // integers wrap around, reals are added in float64
        const sums = dtype === 'i32' ? new Int32Array(count(sizes)) : new Float64Array(count(sizes))
        eachElement(elements, n, (i, row) => {
          sums[row + index![i]! * inner]! += x![i]!
        })
        return make(sums instanceof Int32Array ? sums : Float32Array.from(sums), sizes, dtype)
      },
    }
  }

/** The longest row whose places fit beside a number of 32 bits into the 53 bits of a float64. */
const longest = 2 ** 21

/** The least of some different numbers, in ascending order; the numbers themselves may be sorted. */
const leastOf = (keys: Float64Array, wanted: number): Float64Array => {
  if (wanted > 64) return keys.sort()
  const least = new Float64Array(wanted).fill(Infinity)
  for (const key of keys) {
    if (key >= least[wanted - 1]!) continue
    let at = wanted - 1
    for (; at > 0 && least[at - 1]! > key; at--) least[at] = least[at - 1]!
    least[at] = key
  }
  return least
}

/**
 * Sorts a row of float64 numbers, each made of an element and its place, so that equal elements keep their order. A real
 * is an integer in the order of reals: its bits, or its magnitude negated; NaN is the largest, and −0 is 0.
 */
const argsort =
  (make: Make, otherwise: Lowering): Lowering =>
  call => {
    const { descending } = attributesOf<Ordering>(call.node)
    const { sizes } = call.output
    const [x] = call.inputs
    const [outer, n, inner] = around(x!.sizes, axisOf(call))
    const wanted = sizes[axisOf(call)]!
    if (n > longest) return otherwise(call)
    const real = new Float32Array(1)
    const bits = new Int32Array(real.buffer)
    const keyOf = (v: number): number => {
      if (x!.dtype !== 'f32') return v
      if (Number.isNaN(v)) return 2 ** 31 - 1
      real[0] = v
      return bits[0]! < 0 ? -(bits[0]! & (2 ** 31 - 1)) : bits[0]!
    }
    const sign = descending ? -1 : 1
    return {
      reads: [0],
      run: ([values]) => {
        const y = new Int32Array(count(sizes))
        const keys = new Float64Array(n)
        for (let o = 0; o < outer; o++)
          for (let j = 0; j < inner; j++) {
            for (let k = 0; k < n; k++) keys[k] = sign * keyOf(values![(o * n + k) * inner + j]!) * longest + k
            const least = leastOf(keys, wanted)
            for (let k = 0; k < wanted; k++)
              y[(o * wanted + k) * inner + j] = least[k]! - Math.floor(least[k]! / longest) * longest
          }
        return make(y, sizes, 'i32')
      },
    }
  }

/** The first place of a largest or a smallest element; NaN goes before both. */
const placeOf =
  (make: Make, isBetter: (v: number, best: number) => boolean): Lowering =>
  call => {
    const { sizes } = call.output
    const [outer, n, inner] = around(call.inputs[0]!.sizes, axisOf(call))
    return {
      reads: [0],
      run: ([x]) => {
        const y = new Int32Array(count(sizes))
        for (let o = 0; o < outer; o++)
          for (let j = 0; j < inner; j++) {
            const first = o * n * inner + j
            let best = 0
            for (let k = 1; k < n; k++) {
              const before = x![first + best * inner]!
              if (Number.isNaN(before)) break
              const v = x![first + k * inner]!
              if (isBetter(v, before) || Number.isNaN(v)) best = k
            }
            y[o * inner + j] = best
          }
        return make(y, sizes, 'i32')
      },
    }
  }

/** The lowerings for any tfjs backend, given how it takes data in, and one for rows that are too long. */
export const alongLowerings = (
  make: Make,
  otherwise: Lowering,
): Pick<Lowerings, 'takeAlong' | 'scatterAlong' | 'argsort' | 'argmax' | 'argmin'> => ({
  takeAlong: takeAlong(make),
  scatterAlong: scatterAlong(make),
  argsort: argsort(make, otherwise),
  argmax: placeOf(make, (v, best) => v > best),
  argmin: placeOf(make, (v, best) => v < best),
})
