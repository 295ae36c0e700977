import {
  count,
  inputsAxis,
  product,
  ruled,
  u,
  whole,
  type Dim,
  type Node,
  type Places,
  type Wanted,
} from '../tensor/index.ts'
import type { Columns, Entries, LeafMask } from './mask.ts'

/** The effect of a mask on one leaf: a lens on it, and the `Wanted` that differentiation needs. */
export interface Lens {
  readonly index: readonly Node[]
  readonly get: (leaf: Node) => Node
  readonly put: (leaf: Node, part: Node) => Node
  readonly wanted: (leaf: Node) => Wanted
  /** The places that are trained along an axis of the leaf, unless those are all, or lie anywhere. */
  readonly places?: Places
}

/**
 * The lens of a mask on a leaf as it is declared, `undefined` if it is frozen. get ∘ put = part, put ∘ get = leaf, put
 * ∘ put = last put.
 */
export const lensOf = (mask: LeafMask, leaf: Node): Lens | undefined => {
  switch (mask.mask) {
    case 'frozen':
      return undefined
    case 'all':
      return { index: [], get: own => own, put: (_, part) => part, wanted: whole }
    case 'columns': {
      const axis = inputsAxis(leaf) ?? 0
      const lens = indexed(
        mask.index,
        'columns',
        axis,
        own => own,
        (_, changed) => changed,
      )
      return { ...lens, places: { axis, dim: mask.count } }
    }
    case 'entries':
      return indexed(
        mask.index,
        'entries',
        0,
        own => u.reshape(own, [ruled(product(own.shape))]),
        (own, changed) => u.reshape(changed, own.shape),
      )
  }
}

/**
 * The places of trained numbers in a flattened leaf, in the order of the part, for columns or entries. `axis` is that of
 * the columns.
 * @example placesAt('columns', Int32Array.of(2), [4, 3]) // [6, 7, 8]
 */
export const placesAt = (
  among: (Columns<Dim> | Entries<Dim>)['mask'],
  index: Int32Array,
  sizes: readonly number[],
  axis = 0,
): Int32Array => {
  if (among === 'entries') return index
  const [blocks, columns, width] = [count(sizes.slice(0, axis)), sizes[axis]!, count(sizes.slice(axis + 1))]
  const places = new Int32Array(blocks * index.length * width)
  for (let block = 0; block < blocks; block++)
    for (let i = 0; i < index.length; i++) {
      const start = (block * columns + index[i]!) * width
      const at = (block * index.length + i) * width
      for (let j = 0; j < width; j++) places[at + j] = start + j
    }
  return places
}

const indexed = (
  index: Node,
  kind: string,
  axis: number,
  flat: (leaf: Node) => Node,
  unflat: (leaf: Node, changed: Node) => Node,
): Lens => ({
  index: [index],
  get: leaf => u.take(flat(leaf), index, axis),
  put: (leaf, part) => unflat(leaf, u.put(flat(leaf), index, part, axis)),
  wanted: leaf => ({
    leaf,
    kind: `${kind} ${index.shape.join()} along ${axis}`,
    index: [index],
    get: (cotangent, [i]) => u.take(flat(cotangent), i!, axis),
  }),
})
