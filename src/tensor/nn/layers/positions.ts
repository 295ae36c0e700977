import { node, ShapeMismatch, typed, type Node, type Tensor } from '../../node.ts'
import { factors, product, show, type Dim, type Shape } from '../../shape/index.ts'
import { u } from '../../op/untyped.ts'
import { ropeOp } from '../rope.ts'
import { normal } from '../../init/index.ts'
import { leaf } from '../../op/placeholder.ts'

/** The longest wavelength of positions is this times 2π (Vaswani et al. 2017). */
const usualBase = 1e4

/** The parameter of learned positions: one row for each. */
export interface Position<P extends Dim, H extends Dim> {
  readonly weight: Tensor<readonly [P, H]>
}

/**
 * Declares learned positions: a weight `[positions, hidden]`, whose first values are those of an embedding.
 * @example const places = nn.Position('positions', 'hidden')
 */
export const Position = <const P extends Dim, const H extends Dim>(positions: P, hidden: H): Position<P, H> => ({
  weight: leaf(normal({ std: 1 }), positions, hidden),
})

/**
 * Adds learned positions to `[…, seq, hidden]`: row i to the i-th element of a sequence, of at most as many as there
 * are positions.
 * @example nn.position(nn.embedding(batch.ids, p.words), p.places)
 */
export const position = <L extends Shape, Q extends Dim, H extends Dim, P extends Dim>(
  x: Tensor<readonly [...L, Q, H]>,
  p: Position<P, NoInfer<H>>,
): Tensor<readonly [...L, Q, H]> => {
  const [positions, hidden] = p.weight.shape
  const [seq, own] = x.shape.slice(-2)
  if (own === undefined || own !== hidden)
    throw new ShapeMismatch(`position: ${show(x.shape)} has no rows of ${show([hidden])}`)
  return typed(u.add(x, positions === seq ? p.weight : u.slice(p.weight, 0, { as: seq! })))
}

/** Angles of positions: position · base^(−2i/n), with one column for each i in the given numbers. */
const angles = (positions: Node, pairs: Node, features: Node, base: number): Node =>
  u.mul(u.reshape(positions, [...positions.shape, 1]), u.exp(u.mul(u.div(pairs, features), -2 * Math.log(base))))

/**
 * Sinusoidal positions `[seq, hidden]` (Vaswani et al. 2017): sin(position · base^(−2i/hidden)) in column 2i, and the
 * cosine in column 2i + 1.
 * @example add(x, nn.sinusoidal('seq', 'hidden'))
 */
export const sinusoidal = <const P extends Dim, const H extends Dim>(
  positions: P,
  hidden: H,
  { base = usualBase }: { readonly base?: number } = {},
): Tensor<readonly [P, H]> => {
  const column = u.iota(hidden)
  const pair = u.div(column, 2)
  const angle = angles(u.iota(positions, 'f32'), u.cast(pair, 'f32'), u.size(hidden), base)
  return typed(u.select(u.equal(column, u.mul(pair, 2)), u.sin(angle), u.cos(angle)))
}

/** Half of a dim: of an even number, or of a product that begins with an even number. */
const halfOf = (dim: Dim): Dim => {
  const [first, ...rest] = factors(dim)
  const half = typeof first === 'number' && first % 2 === 0 ? product([first / 2, ...rest]) : undefined
  if (half?._tag !== 'Right')
    throw new ShapeMismatch(`rotary: ${dim} has no half: write it as 2*half, or specify the half`)
  return half.right
}

/** The options of rotary positions. */
export interface RotaryOptions {
  /** The longest wavelength is this times 2π (default: 10 000). */
  readonly base?: number
  /** The dim of half a head; by default that of an even number or of `2*half`. */
  readonly half?: Dim
  /** The number of positions before the first one, such as those in a cache (default: none). */
  readonly offset?: Tensor<readonly [], 'i32'>
}

/**
 * Rotary positions of queries or keys `[…, seq, headDim]` (Su et al. 2021), with Hugging Face's halves: the pair of
 * features i and i + headDim/2 is rotated by the angle position · base^(−2i/headDim).
 * @throws {ShapeMismatch} if the head has no half
 * @example nn.rotary(q, { half: 'half' })
 */
export const rotary = <L extends Shape, Q extends Dim, D extends Dim>(
  x: Tensor<readonly [...L, Q, D]>,
  { base = usualBase, half, offset }: RotaryOptions = {},
): Tensor<readonly [...L, Q, D]> => {
  const [seq, width] = x.shape.slice(-2)
  if (seq === undefined || width === undefined)
    throw new ShapeMismatch(`rotary: ${show(x.shape)} has no positions and features`)
  const at = offset === undefined ? u.iota(seq, 'f32') : u.cast(u.add(u.iota(seq), offset), 'f32')
  const angle = angles(at, u.iota(half ?? halfOf(width), 'f32'), u.size(width), base)
  return typed(node(ropeOp, [x, u.cos(angle), u.sin(angle)], { inverse: false }))
}
