import {
  broadcastToOp,
  castOp,
  contractOp,
  is,
  node,
  padOp,
  primitives,
  product,
  putOp,
  reshapeOp,
  scalar,
  sliceOp,
  sumOp,
  takeOp,
  transposeOp,
  u,
  type Node,
  type NodeOf,
  type Shape,
} from '../../tensor/index.ts'
import { leavesIn, refused, withoutAxis, type Abstract, type Affine, type Term, type TrainedLeaf } from './abstract.ts'

/**
 * The ops that keep a value affine in the trained leaves, and their effect on the features. An op without a rule here
 * is refused.
 */

const one = u.reshape(scalar(1), [1])

/** A trained leaf as a value. */
export const leafValue = (of: TrainedLeaf): Abstract => {
  const { leaf } = of
  const rank = leaf.shape.length
  if (rank > 2) return refused(`${of.path} has ${rank} axes, and rules are known for matrices and vectors`)
  // a bias is a matrix [1, out] on a feature that is 1
  return rank === 2
    ? { kind: 'matrix', of, turned: false }
    : { kind: 'affine', outputs: rank === 1 ? 0 : undefined, terms: [{ ...of, features: one, along: 0 }] }
}

/** A matrix that has not been multiplied yet, as an affine value: row i has the feature i. */
const unit = (value: Abstract): Abstract => {
  if (value.kind !== 'matrix') return value
  const [input] = value.of.leaf.shape
  return {
    kind: 'affine',
    outputs: value.turned ? 0 : 1,
    terms: [{ ...value.of, features: identity(input!), along: 0 }],
  }
}
const identity = (dim: Shape[number]): Node => u.oneHot(u.iota(dim), dim)

const withFeatures = (value: Affine, change: (features: Node) => Node, outputs = value.outputs): Affine => ({
  kind: 'affine',
  outputs,
  terms: value.terms.map(term => ({ ...term, features: change(term.features) })),
})

/** The axis of the features that corresponds to an axis of the value. */
const rowAxis = (axis: number, outputs: number | undefined): number =>
  outputs !== undefined && axis > outputs ? axis - 1 : axis
const lastAxis = (features: Node): number => features.shape.length - 1

/** A value repeated to a larger shape; undefined if its outputs would be repeated. */
export const aligned = (value: Affine, from: Shape, to: Shape): Affine | undefined => {
  const outputs = value.outputs === undefined ? undefined : value.outputs + to.length - from.length
  if (outputs !== undefined && to[outputs] !== from[value.outputs!]) return undefined
  return withFeatures(value, f => u.broadcastTo(f, [...withoutAxis(to, outputs), f.shape.at(-1)!]), outputs)
}

/** Merges the terms of one leaf into one term; undefined if they use the leaf in both orientations. */
const merged = (terms: readonly Term[]): readonly Term[] | undefined => {
  const byLeaf = new Map<Node, Term>()
  for (const term of terms) {
    const seen = byLeaf.get(term.leaf)
    if (seen && seen.along !== term.along) return undefined
    byLeaf.set(term.leaf, seen ? { ...term, features: u.add(seen.features, term.features) } : term)
  }
  return [...byLeaf.values()]
}

const sum = (n: Node, values: readonly Abstract[], sign: (features: Node) => Node): Abstract => {
  const parts: Affine[] = []
  for (const [i, value] of values.entries()) {
    if (value.kind !== 'affine') continue
    const part = aligned(i === 0 ? value : withFeatures(value, sign), n.inputs[i]!.shape, n.shape)
    if (part === undefined) return refused(`an output of ${leavesIn(value)} is repeated over others`)
    parts.push(part)
  }
  const [first] = parts
  const terms = merged(parts.flatMap(part => part.terms))
  if (terms === undefined || parts.some(part => part.outputs !== first!.outputs))
    return refused(`outputs of ${leavesIn(...values)} are added crosswise`)
  return { kind: 'affine', outputs: first!.outputs, terms }
}

/** A value times or divided by a frozen value, which may differ between rows but not between outputs. */
const scaled = (n: Node, value: Affine, from: Node, by: Node, op: (features: Node, by: Node) => Node): Abstract => {
  const whole = aligned(value, from.shape, n.shape)
  const lead = n.shape.length - by.shape.length
  const at = whole?.outputs
  const varies = at !== undefined && at >= lead && by.shape[at - lead] !== 1
  if (whole === undefined || varies) return refused(`each output of ${leavesIn(value)} is scaled by another number`)
  const rows = u.reshape(by, [...withoutAxis(by.shape, at === undefined ? undefined : at - lead), 1])
  return withFeatures(whole, f => op(f, rows))
}

const reshapedValue = (n: Node, value: Affine): Abstract => {
  const [x] = n.inputs
  const { outputs } = value
  if (outputs === undefined || x!.shape[outputs] === 1)
    return withFeatures({ ...value, outputs: undefined }, f => u.reshape(f, [...n.shape, f.shape.at(-1)!]))
  const same = (a: Shape, b: Shape): boolean => JSON.stringify(product(a)) === JSON.stringify(product(b))
  const to = n.shape.findIndex(
    (dim, axis) => dim === x!.shape[outputs] && same(n.shape.slice(0, axis), x!.shape.slice(0, outputs)),
  )
  if (to < 0) return refused(`outputs of ${leavesIn(value)} are split or merged`)
  return withFeatures(value, f => u.reshape(f, [...withoutAxis(n.shape, to), f.shape.at(-1)!]), to)
}

const transposedValue = (permutation: readonly number[], value: Affine): Affine => {
  const outputs = value.outputs === undefined ? undefined : permutation.indexOf(value.outputs)
  const rows = permutation.filter(axis => axis !== value.outputs).map(axis => rowAxis(axis, value.outputs))
  return withFeatures(value, f => u.transpose(f, [...rows, lastAxis(f)]), outputs)
}

const opposite = [1, 0] as const

/** A product with a frozen value. */
const productValue = (
  n: NodeOf<{ readonly a: string; readonly b: string; readonly out: string }>,
  [a, b]: readonly Abstract[],
): Abstract => {
  const {
    attributes: { a: lettersA, b: lettersB, out },
    inputs: [x, y],
  } = n
  const [value, own, other, frozen] =
    a!.kind === 'constant' ? [b!, lettersB, lettersA, x!] : [a!, lettersA, lettersB, y!]
  if (value.kind === 'matrix') {
    const { of, turned } = value
    const axis = out.includes(own[0]!) ? 1 : 0
    const inner = own[axis]!
    const kept = own[1 - axis]!
    if (out.includes(inner) || !out.includes(kept) || other.includes(kept))
      return refused(`${of.path} is multiplied otherwise than as a matrix`)
    const features = u.transpose(
      frozen,
      [...`${out.replace(kept, '')}${inner}`].map(l => other.indexOf(l)),
    )
    return {
      kind: 'affine',
      outputs: out.indexOf(kept),
      terms: [{ ...of, features, along: turned ? opposite[axis] : axis }],
    }
  }
  if (value.kind !== 'affine') return value
  const letter = value.outputs === undefined ? '' : own[value.outputs]!
  const fresh = [...'abcdefghijklmnopqrstuvwxyz'].find(l => !`${lettersA}${lettersB}`.includes(l))!
  if (letter !== '' && (!out.includes(letter) || other.includes(letter)))
    return refused(`${leavesIn(value)} is trained below another product`)
  return withFeatures(
    value,
    f =>
      u.contract(frozen, f, {
        a: other,
        b: `${own.replace(letter, '')}${fresh}`,
        out: `${out.replace(letter, '')}${fresh}`,
      }),
    letter === '' ? undefined : out.indexOf(letter),
  )
}

/** The result of an op on values of which at least one is a matrix or affine, and none is a loss or refused. */
export const affineRule = (n: Node, values: readonly Abstract[]): Abstract => {
  const [first] = values
  const below = (): Abstract => refused(`${leavesIn(...values)} is trained below ${n.op.name}`)
  if (
    values.filter(value => value.kind !== 'constant').length > 1 &&
    n.op !== primitives.add &&
    n.op !== primitives.sub
  ) {
    return refused(
      `${leavesIn(...values)} ${n.inputs[0] === n.inputs[1] ? 'is multiplied with itself' : 'meet'} in ${n.op.name}`,
    )
  }
  if (is(n, contractOp)) return productValue(n, values)
  if (is(n, transposeOp) && first!.kind === 'matrix')
    return { ...first!, turned: first!.turned !== (n.attributes.permutation[0] === 1) }
  if (is(n, putOp)) {
    const [, index] = n.inputs
    const [, , value] = values
    if (value?.kind !== 'matrix' || value.turned || n.attributes.axis !== 0) return below()
    // rows of a frozen matrix are replaced: row i has the features whose index is i
    return {
      kind: 'affine',
      outputs: 1,
      terms: [{ ...value.of, along: 0, features: u.transpose(u.oneHot(index!, n.shape[0]!), [1, 0]) }],
    }
  }
  const known = values.map(unit)
  const [x, y] = known
  if (is(n, primitives.add)) return sum(n, known, f => f)
  if (is(n, primitives.sub)) return sum(n, known, u.neg)
  if (is(n, primitives.mul) && y?.kind === 'affine') return scaled(n, y, n.inputs[1]!, n.inputs[0]!, u.mul)
  if (x?.kind !== 'affine') return below()
  if (is(n, primitives.mul) || is(n, primitives.div))
    return scaled(n, x, n.inputs[0]!, n.inputs[1]!, is(n, primitives.mul) ? u.mul : u.div)
  if (is(n, primitives.neg)) return withFeatures(x, u.neg)
  if (is(n, castOp)) return n.dtype === 'f32' ? x : below()
  if (is(n, broadcastToOp))
    return aligned(x, n.inputs[0]!.shape, n.shape) ?? refused(`an output of ${leavesIn(x)} is repeated over others`)
  if (is(n, reshapeOp)) return reshapedValue(n, x)
  if (is(n, transposeOp)) return transposedValue(n.attributes.permutation, x)
  if (is(n, sumOp)) {
    const { axes, keepDims } = n.attributes
    const { outputs } = x
    if (outputs !== undefined && axes.includes(outputs)) return refused(`outputs of ${leavesIn(x)} are summed`)
    const to = outputs === undefined || keepDims ? outputs : outputs - axes.filter(axis => axis < outputs).length
    return withFeatures(
      x,
      f =>
        u.sum(
          f,
          axes.map(axis => rowAxis(axis, outputs)),
          keepDims,
        ),
      to,
    )
  }
  if (is(n, takeOp) || is(n, sliceOp) || is(n, padOp)) {
    const { axis } = n.attributes
    const at = rowAxis(axis, x.outputs)
    if (axis === x.outputs) return refused(`outputs of ${leavesIn(x)} are taken apart`)
    return withFeatures(x, f => node(n.op, [f, ...n.inputs.slice(1)], { ...n.attributes, axis: at }))
  }
  return below()
}
