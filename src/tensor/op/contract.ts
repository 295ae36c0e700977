import * as E from '../../either/index.ts'
import type { Places, Required } from '../autograd.ts'
import { fitsByShape, node, typed, ruled, type Along, type Node, type Op, type Tensor } from '../node.ts'
import { isSmooth, noDims } from '../facets.ts'
import { numbers, offsetsOf, stridesOf } from '../numbers.ts'
import {
  einsum as einsumRule,
  matmul as matmulRule,
  show,
  type Dim,
  type Einsum,
  type EinsumError,
  type MatMul,
  type MatMulError,
  type Ok,
  type Shape,
} from '../shape/index.ts'
import { sources } from './placeholder.ts'
import { picks } from './pick.ts'
import { layouts } from './reshape.ts'
import { sums } from './sum.ts'
import { typesFault } from './types.ts'
import { count } from '../value.ts'

/** One letter per axis: the letters of both operands and of the result. */
export interface Contraction {
  readonly a: string
  readonly b: string
  readonly out: string
}

const strideBy = (letters: string, of: string, sizes: readonly number[]): readonly number[] => {
  const strides = stridesOf(sizes)
  return [...letters].map(letter => strides[of.indexOf(letter)] ?? 0)
}

/** The axis of each operand with a letter. */
const along = ({ a, b }: Contraction, letter: string): Along =>
  [a, b].map(letters => (letters.includes(letter) ? letters.indexOf(letter) : undefined))

/** The places of one operand that meet the trained places of the other: all, unless an axis of both selects them. */
const shared = ({ along: places }: Required, own: string, other: string): Places | undefined => {
  const axis = places === undefined ? -1 : other.indexOf(own[places.axis]!)
  return places === undefined || axis < 0 ? undefined : { axis, dim: places.dim }
}

/**
 * The product of two tensors, summed over the letters that the result lacks. It is the only contraction of the
 * language, used by `matmul` and `einsum`. Every letter of an operand occurs in the other operand or in the result.
 *
 * y = Σ a b                                             ā = Σ dy b, b̄ = Σ a dy
 */
export const contractOp: Op<Contraction> = {
  name: 'contract',
  shape: ([x, y], { a, b, out }) => {
    const types = typesFault('contract', [x!, y!], ['f32'])
    if (E.isLeft(types)) return types
    const dims = new Map<string, Dim>()
    for (const [letters, input] of [
      [a, x!],
      [b, y!],
    ] as const) {
      if (new Set(letters).size < letters.length) return E.left(`contract: ${letters} repeats a letter`)
      if (letters.length !== input.shape.length)
        return E.left(`contract: ${letters} has ${letters.length} letters for ${input.shape.length} dims`)
      for (const [axis, letter] of [...letters].entries()) {
        const dim = input.shape[axis]!
        const seen = dims.get(letter)
        if (seen !== undefined && seen !== dim) return E.left(`contract: ${letter} is ${seen} and ${dim}`)
        dims.set(letter, dim)
      }
    }
    const shape = [...out].flatMap(letter => dims.get(letter) ?? [])
    return shape.length === out.length
      ? E.right({ shape, dtype: x!.dtype })
      : E.left(`contract: a letter of ${out} is in no operand`)
  },
  misfit: fitsByShape,
  eval: ([x, y], { a, b, out }, { sizes }) => {
    const summed = [...new Set(a + b)].filter(letter => !out.includes(letter)).join('')
    const inner = [...summed].map(letter =>
      a.includes(letter) ? x!.sizes[a.indexOf(letter)]! : y!.sizes[b.indexOf(letter)]!,
    )
    const [xOut, yOut] = [offsetsOf(sizes, strideBy(out, a, x!.sizes)), offsetsOf(sizes, strideBy(out, b, y!.sizes))]
    const [xIn, yIn] = [
      offsetsOf(inner, strideBy(summed, a, x!.sizes)),
      offsetsOf(inner, strideBy(summed, b, y!.sizes)),
    ]
    return numbers(sizes, i => {
      let sum = 0
      for (let k = 0; k < xIn.length; k++) sum += x!.data[xOut[i]! + xIn[k]!]! * y!.data[yOut[i]! + yIn[k]!]!
      return sum
    })
  },
  vjp: ({ inputs: [x, y], attributes: { a, b, out } }, dy) => [
    products.contract(dy, y!, { a: out, b, out: a }),
    products.contract(x!, dy, { a, b: out, out: b }),
  ],
  flops: ([x, y], { a, b }) => 2 * count(x!) * count(y!.filter((_, axis) => !a.includes(b[axis]!))),
  kind: 'other',
  along: ({ attributes }, axis) => along(attributes, attributes.out[axis]!),
  summedAlong: ({ attributes }, input, axis) => {
    const letter = (input === 0 ? attributes.a : attributes.b)[axis]!
    return attributes.out.includes(letter) ? undefined : along(attributes, letter)
  },
  dims: noDims,
  smooth: isSmooth,
  cheap: 'weighed',
  autograd: {
    saves: ({ attributes: { a, b } }, [ofA, ofB]) => [
      ...(ofB ? [{ operand: 0, along: shared(ofB, b, a) }] : []),
      ...(ofA ? [{ operand: 1, along: shared(ofA, a, b) }] : []),
    ],
    autocast: 'half',
  },
}

/** The untyped verb of a contraction. */
export const products = {
  contract: (x: Node, y: Node, letters: Contraction): Node => node(contractOp, [x, y], letters),
}

const alphabet = 'abcdefghijklmnopqrstuvwxyz'

/**
 * The product of many matrices by many, whose leading dims broadcast to `leading`. An operand of size 1 along one of
 * them lacks its letter, so nothing is repeated.
 */
const broadcastProduct = (a: Node, b: Node, leading: Shape): Node => {
  const operand = (x: Node, matrix: string): readonly [Node, string] => {
    const own = x.shape.length - matrix.length
    const skipped = leading.length - own
    const kept = x.shape.slice(0, own).flatMap((dim, axis) => (dim === leading[axis + skipped] ? [axis] : []))
    return [
      layouts.reshape(x, [...kept.map(axis => x.shape[axis]!), ...x.shape.slice(own)]),
      kept.map(axis => alphabet[axis + skipped]).join('') + matrix,
    ]
  }
  const row = a.shape.length === 1 ? '' : 'x'
  const [x, left] = operand(a, `${row}y`)
  const [y, right] = operand(b, 'yz')
  return products.contract(x, y, { a: left, b: right, out: `${alphabet.slice(0, leading.length)}${row}z` })
}

/** The untyped {@link matmul}. */
export const product = (a: Node, b: Node): Node => {
  const checked = ruled(matmulRule(a.shape, b.shape))
  const rows = alphabet.slice(0, a.shape.length - 1)
  if (b.shape.length === 1) return products.contract(a, b, { a: `${rows}y`, b: 'y', out: rows })
  const leading = b.shape.slice(0, -2)
  if (leading.length > 0 && show(leading) !== show(a.shape.slice(0, -2))) {
    const joined = checked.slice(0, Math.max(leading.length, a.shape.length - 2))
    return broadcastProduct(a, b, joined)
  }
  const batch = leading.length > 0 ? rows.slice(0, -1) : ''
  return products.contract(a, b, { a: `${rows}y`, b: `${batch}yz`, out: `${rows}z` })
}

/**
 * The product of matrices: `[…, i] × [i, o]`. Of many matrices, `[…, m, k] × […, k, n]`, the leading dims broadcast; a
 * vector is a row on the left and a column on the right, as in `np.matmul`.
 * @throws {ShapeMismatch} if the inner dims differ, or the leading dims do not broadcast
 * @example matmul(x, w)
 */
export const matmul = <A extends Shape, B extends Shape>(
  a: Tensor<A>,
  b: Tensor<B> & MatMulError<A, B>,
): Tensor<Ok<MatMul<A, B>, A>> => typed(product(a, b))

/** Sums over the letters that occur nowhere else, before a contraction. */
const onlyShared = (letters: string, x: Node, elsewhere: string): readonly [string, Node] => {
  const alone = [...letters].flatMap((letter, axis) => (elsewhere.includes(letter) ? [] : [axis]))
  return alone.length === 0
    ? [letters, x]
    : [[...letters].filter(letter => elsewhere.includes(letter)).join(''), sums.sum(x, alone)]
}

/** Takes the diagonal along every letter that an operand repeats: `ii` becomes `i`. */
const diagonal = (letters: string, x: Node): readonly [string, Node] => {
  const second = [...letters].findIndex((letter, axis) => letters.indexOf(letter) < axis)
  if (second < 0) return [letters, x]
  const first = letters.indexOf(letters[second]!)
  const others = [...letters].flatMap((_, axis) => (axis === first || axis === second ? [] : [axis]))
  const rows = [...others, first].map(axis => x.shape[axis]!)
  const index = sources.iota(x.shape[first]!)
  return diagonal(
    [...others, first].map(axis => letters[axis]!).join(''),
    picks.pick(layouts.transpose(x, [...others, first, second]), sums.broadcastTo(index, rows)),
  )
}

/** Einstein summation over any number of operands. @example einsum('bsi,io->bso', x, w) */
export const einsum = <const Q extends string, const T extends readonly Node[]>(
  equation: Q,
  ...operands: T & EinsumError<Q, { readonly [K in keyof T]: T[K]['shape'] }>
): Tensor<Ok<Einsum<Q, { readonly [K in keyof T]: T[K]['shape'] }>, T>> => {
  const inputs: readonly Node[] = operands
  ruled(
    einsumRule(
      equation,
      inputs.map(x => x.shape),
    ),
  )
  const [terms, out] = equation.split('->') as [string, string]
  const [first, ...others] = terms.split(',').map((letters, i) => diagonal(letters, inputs[i]!))
  const joined = others.reduce<readonly [string, Node]>(([left, x], [right, y], i) => {
    const later =
      others
        .slice(i + 1)
        .map(([letters]) => letters)
        .join('') + out
    const [a, reducedX] = onlyShared(left, x, right + later)
    const [b, reducedY] = onlyShared(right, y, left + later)
    const kept = [...new Set(a + b)].filter(letter => later.includes(letter)).join('')
    return [kept, products.contract(reducedX, reducedY, { a, b, out: kept })]
  }, first!)
  const [kept, reduced] = onlyShared(joined[0], joined[1], out)
  return typed(
    layouts.transpose(
      reduced,
      [...out].map(letter => kept.indexOf(letter)),
    ),
  )
}
