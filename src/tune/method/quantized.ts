import { placeholder, transposeMatrix, u, type Node, type Shape, type Value } from '../../tensor/index.ts'
import { lensOf, placesAt } from '../lens.ts'
import { all, frozen, maskedLeaves, type Columns, type Entries, type LeafMask } from '../mask.ts'
import type { PackedArrays, Quantizer } from '../quantize/quantizer.ts'
import { isTensor, mapBeside, mapTree, tensorsOf } from '../tree.ts'
import type { Method, Addition, FirstValue, Opaque, Reparametrisation } from './method.ts'
import { matrixDims } from './leafwise.ts'
import { moduleOf, targeted, UnknownTarget } from './targets.ts'

type Leaves = Readonly<Record<string, Node>>

/** The replacement of a quantized leaf: the vectors that it is packed into and, in full precision, its trained part. */
interface Packed {
  readonly becomes: Leaves
  readonly mask: Readonly<Record<string, LeafMask>>
  readonly weight: (leaves: Leaves) => Node
  readonly addition: Addition
  /** The leaf after packing and unpacking. */
  readonly rounded: (base: Value<Shape>) => Value<Shape>
}

/** The selected rows or entries of a `[in, out]` leaf. */
const partOf = (
  { mask }: Columns<string | number> | Entries<string | number>,
  { data, sizes }: Value<Shape>,
  chosen: Int32Array,
): Float32Array => Float32Array.from(placesAt(mask, chosen, sizes), at => data[at]!)

const packed = (quantizer: Quantizer, leaf: Node, path: string, mask: LeafMask): Packed => {
  if (mask.mask === 'all') throw new UnknownTarget(`${path} is trained whole, and what is quantized is frozen`)
  const [input, output] = matrixDims(quantizer.name, leaf, moduleOf(path))
  const nodes = quantizer.leaves(leaf.shape)
  // blocks run along the `[out, in]` matrix, as in files
  const whole = (leaves: Leaves): Node => u.transpose(quantizer.dequantize([output, input], leaves), [1, 0])
  // packed once for everything that depends on a leaf, and dropped together with it
  const known = new WeakMap<Value<Shape>, PackedArrays>()
  const arraysOf = (base: Value<Shape>): PackedArrays => {
    const arrays = known.get(base) ?? quantizer.quantize(transposeMatrix(base.data, base.sizes[0]!, base.sizes[1]!))
    known.set(base, arrays)
    return arrays
  }
  const vectors = (base: Value<Shape>): readonly FirstValue[] =>
    Object.entries(nodes).map(([name, { shape }]) => {
      const data = arraysOf(base)[name]!
      const sizes = [data.length]
      return data instanceof Int32Array ? { shape, sizes, dtype: 'i32', data } : { shape, sizes, dtype: 'f32', data }
    })
  const rounded = (base: Value<Shape>): Value<Shape> => {
    const [rows, columns] = base.sizes as readonly [number, number]
    return { ...base, data: transposeMatrix(quantizer.restore(arraysOf(base), rows * columns), columns, rows) }
  }
  const frozenNodes = Object.fromEntries(Object.keys(nodes).map(name => [name, frozen]))
  if (mask.mask === 'frozen') {
    return {
      becomes: nodes,
      mask: frozenNodes,
      weight: whole,
      addition: { of: path, leaves: Object.values(nodes), make: ({ base }) => vectors(base) },
      rounded,
    }
  }
  const values = placeholder(lensOf(mask, leaf)!.get(leaf).shape, 'f32')
  return {
    rounded,
    becomes: { ...nodes, [mask.mask]: mask.index, values },
    mask: { ...frozenNodes, [mask.mask]: frozen, values: all },
    weight: leaves => lensOf({ ...mask, index: leaves[mask.mask]! }, leaf)!.put(whole(leaves), leaves['values']!),
    addition: {
      of: path,
      leaves: [...Object.values(nodes), values],
      // trained parts are taken from the weight before it is quantized
      make: ({ base, chosen, size }) => [
        ...vectors(base),
        {
          shape: values.shape,
          sizes: values.shape.map(size),
          dtype: 'f32',
          data: partOf(mask, base, chosen(mask.index)),
        },
      ],
    },
  }
}

/**
 * A method on a quantized base, as QLoRA (Dettmers et al. 2023) and QPaCA (Woo et al., section 4.3): frozen parts are
 * kept packed and dequantized where they are used; the trained part of a leaf is kept in full precision. `modules`
 * names the leaves to quantize (default: those that the method changes).
 * @throws {UnknownTarget} if a leaf is trained whole, or is not a matrix
 * @example quantized(nf4({ double: true }))(paca({ targets: ['q_proj', 'v_proj'], rank: 8, seed: 0 }))
 */
export const quantized =
  (quantizer: Quantizer, { modules }: { readonly modules?: readonly string[] } = {}) =>
  <F extends Reparametrisation>(method: Method<F>): Method<Opaque> => ({
    name: method.name,
    apply: params => {
      const inner = method.apply(params)
      const places = maskedLeaves(inner.params, inner.mask)
      const standing = new Map(places.map(({ path, leaf }) => [path, leaf]))
      const masks = new Map<Node, LeafMask>()
      // a leaf at several places is trained at one of them
      for (const { leaf, mask } of places) if (!masks.has(leaf) || mask.mask !== 'frozen') masks.set(leaf, mask)
      const chosen = modules && targeted(params, modules)
      const own = tensorsOf(params)
      const touched = (path: string, leaf: Node): boolean =>
        standing.get(path) !== leaf || masks.get(leaf)?.mask !== 'frozen'
      const made = new Map<Node, Packed>()
      for (const [path, leaf] of own) {
        if (!made.has(leaf) && (chosen ? chosen.has(path) : touched(path, leaf)))
          made.set(leaf, packed(quantizer, leaf, path, masks.get(leaf) ?? frozen))
      }
      const byPath = new Map(own.map(([path, leaf]) => [moduleOf(path), made.get(leaf)]))
      const onRounded = (addition: Addition): Addition => {
        if (addition.of === undefined) return addition
        const { of, leaves, make } = addition
        const pack = byPath.get(moduleOf(of))
        return pack ? { of, leaves, make: given => make({ ...given, base: pack.rounded(given.base) }) } : addition
      }
      return {
        params: mapTree(inner.params, isTensor, leaf => made.get(leaf)?.becomes ?? leaf),
        mask: mapBeside(inner.params, isTensor, inner.mask, (leaf, mask) => made.get(leaf)?.mask ?? mask) as never,
        weight: q =>
          inner.weight(
            mapBeside(
              inner.params,
              isTensor,
              q,
              (leaf, given) => made.get(leaf)?.weight(given as Leaves) ?? given,
            ) as never,
          ),
        selections: inner.selections,
        // whatever a method computes from a leaf, it computes from the quantized leaf
        additions: [...[...made.values()].map(({ addition }) => addition), ...inner.additions.map(onRounded)],
        ...(inner.random ? { random: inner.random } : {}),
      }
    },
  })
