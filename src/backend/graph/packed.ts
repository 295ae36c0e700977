import { count } from '../../tensor/index.ts'
import { SessionError, type Buffer } from '../device.ts'
import type { Body, Ref } from './body.ts'
import { unshared } from './unshared.ts'

/** An input of a question: an array of f32 or i32 with `rank` dims. */
export interface Input {
  readonly type: 'f32' | 'i32'
  readonly rank: number
}
export type Inputs = Readonly<Record<string, Input>>

/** Two vectors that contain all inputs of a question. */
export interface Packed {
  readonly ints: Int32Array
  readonly floats: Float32Array
}

/**
 * Packs all inputs of a question into two vectors. The integers are the question's two numbers, the scalars, the sizes
 * of every other input, and then their data; the floats are the scalars, and then the data.
 */
export const pack = (question: readonly number[], inputs: Inputs, feeds: Readonly<Record<string, Buffer>>): Packed => {
  const given = Object.entries(inputs).map(([name, { type, rank }]) => ({
    type,
    rank,
    buffer: fitting(name, { type, rank }, feeds[name]),
  }))
  const of = (type: Input['type'], scalar: boolean): readonly Buffer[] =>
    given.filter(input => input.type === type && (input.rank === 0) === scalar).map(({ buffer }) => buffer)
  const numbers = (buffers: readonly Buffer[]): readonly number[] => buffers.map(({ data }) => Number(data[0]))
  const sizes = given.filter(({ rank }) => rank > 0).flatMap(({ buffer }) => buffer.sizes)
  const header = [...question, ...numbers(of('i32', true)), ...sizes]
  const arrays = of('i32', false)
  const ints = unshared(Int32Array, header.length + arrays.reduce((n, { data }) => n + data.length, 0))
  ints.set(header)
  put(ints, header.length, arrays)
  const scalars = numbers(of('f32', true))
  const tensors = of('f32', false)
  const floats = unshared(Float32Array, scalars.length + tensors.reduce((n, { data }) => n + data.length, 0))
  floats.set(scalars)
  put(floats, scalars.length, tensors)
  return { ints, floats }
}

const fitting = (name: string, { type, rank }: Input, buffer: Buffer | undefined): Buffer => {
  if (buffer === undefined) throw new SessionError(`the graph was not given ${name}`)
  if (buffer.dtype !== type || buffer.sizes.length !== rank || buffer.data.length !== count(buffer.sizes)) {
    throw new SessionError(
      `the graph takes ${name} as ${type} of ${rank} dims, not [${buffer.sizes.join(', ')}] ${buffer.dtype} of ${buffer.data.length} elements`,
    )
  }
  return buffer
}

const put = (to: Int32Array | Float32Array, at: number, buffers: readonly Buffer[]): void => {
  let next = at
  for (const { data } of buffers) {
    to.set(data as Float32Array, next)
    next += data.length
  }
}

/** One element of a vector, as a scalar. */
export const numberAt = (body: Body, x: Ref, at: number): Ref =>
  body.apply('Reshape', [
    body.apply('Slice', [x, body.constant([at], 'i32'), body.constant([1], 'i32')]),
    body.constant([], 'i32'),
  ])

/** The inputs of a question, read from the two vectors. Arrays are cut at once: a step may be given hundreds. */
export const unpack = (body: Body, inputs: Inputs, ints: Ref, floats: Ref): Readonly<Record<string, Ref>> => {
  const all = Object.entries(inputs)
  const scalars = (type: Input['type']): readonly string[] =>
    all.flatMap(([name, input]) => (input.type === type && input.rank === 0 ? [name] : []))
  const made: Record<string, Ref> = {}
  scalars('i32').forEach((name, i) => {
    made[name] = numberAt(body, ints, 2 + i)
  })
  scalars('f32').forEach((name, i) => {
    made[name] = numberAt(body, floats, i)
  })
  const arrays = all.filter(([, { rank }]) => rank > 0)
  const header = 2 + scalars('i32').length
  const ranks = arrays.map(([, { rank }]) => rank)
  const integers = header + ranks.reduce((sum, rank) => sum + rank, 0)
  const shapes = cut(body, between(body, ints, header, integers), body.constant(ranks, 'i32'), ranks.length)
  for (const [type, vector, first] of [
    ['i32', ints, integers],
    ['f32', floats, scalars('f32').length],
  ] as const) {
    const own = arrays.flatMap(([name, input], i) =>
      input.type === type ? [{ name, ...input, shape: shapes[i]! }] : [],
    )
    const lengths = own.map(({ rank, shape }) =>
      rank === 1 ? shape : body.apply('Prod', [shape, body.constant([0], 'i32')], { keep_dims: { bool: true } }),
    )
    const parts = cut(body, between(body, vector, first), joined(body, lengths), own.length)
    own.forEach(({ name, rank, shape }, i) => {
      made[name] = rank === 1 ? parts[i]! : body.apply('Reshape', [parts[i]!, shape])
    })
  }
  return Object.fromEntries(all.map(([name]) => [name, made[name]!]))
}

/** A part of a vector, up to its end unless another is given. */
const between = (body: Body, x: Ref, from: number, to?: number): Ref =>
  body.apply('Slice', [x, body.constant([from], 'i32'), body.constant([to === undefined ? -1 : to - from], 'i32')])
/** A few vectors as one. */
const joined = (body: Body, vectors: readonly Ref[]): Ref =>
  vectors.length > 1
    ? body.apply('ConcatV2', [...vectors, body.constant(0, 'i32')])
    : (vectors[0] ?? body.constant([], 'i32'))
/** A vector as parts of some lengths, which add up to its own. */
const cut = (body: Body, x: Ref, lengths: Ref, parts: number): readonly Ref[] =>
  parts > 1
    ? body.add('SplitV', [x, lengths, body.constant(0, 'i32')], { num_split: { int: parts } }).outputs
    : parts === 1
      ? [x]
      : []
