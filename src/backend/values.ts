import { bindDims } from '../compile/index.ts'
import { count, type Node, type Shape, type Signature } from '../tensor/index.ts'
import { placesOf, type Place } from '../tune/index.ts'
import { SessionError, type Buffer } from './device.ts'

/** A caller's data for a leaf, the words that name the place, and its sizes if they are known. */
interface Given {
  readonly where: string
  readonly leaf: Signature
  readonly found: unknown
  readonly expected?: readonly number[]
}

const arrays = { f32: Float32Array, i32: Int32Array, bool: Uint8Array, bf16: Uint16Array, f16: Uint16Array } as const
/** The kind of an array, by its name: an array of another realm has another class, and is just as good. */
const nameOf = (data: unknown): string => Object.prototype.toString.call(data).slice('[object '.length, -1)
const form = 'give { shape, sizes, dtype, data }'

const isList = (of: unknown): of is readonly unknown[] => Array.isArray(of)

/** Tests whether a dim of a value differs from the declared one; a number stands for any dim of its size. */
const differs = (said: unknown, declared: Shape[number], size: unknown): boolean =>
  said !== (typeof said === 'number' ? size : declared)

/**
 * Checks a caller's data for a leaf: its dtype, the kind of its array, the names and sizes of its dims, and the number
 * of elements.
 * @throws {SessionError} one sentence that names the place
 * @example valueFor({ where: 'x of the batch', leaf, found: batch.x })
 */
export const valueFor = ({ where, leaf, found, expected }: Given): Buffer => {
  if (isList(found) || ArrayBuffer.isView(found))
    throw new SessionError(`${where} is ${isList(found) ? 'a plain array' : `a ${nameOf(found)}`}: ${form}`)
  if (typeof found !== 'object' || found === null) throw new SessionError(`${where} is ${String(found)}: ${form}`)
  const { shape, sizes, dtype, data } = found as { readonly [K in 'shape' | 'sizes' | 'dtype' | 'data']?: unknown }
  if (dtype === undefined && data === undefined) throw new SessionError(`${where} has neither dtype nor data: ${form}`)
  if (dtype !== leaf.dtype) throw new SessionError(`${where} is ${String(dtype)}, not ${leaf.dtype}`)
  const kind = arrays[leaf.dtype].name
  if (nameOf(data) !== kind)
    throw new SessionError(
      `the data of ${where} is ${isList(data) ? 'a plain array' : `of type ${nameOf(data)}`}, not a ${kind}`,
    )
  if (!isList(sizes)) throw new SessionError(`${where} has no sizes: ${form}`)
  const known = { sizes, dtype, data } as Buffer
  if (expected && sizes.join() !== expected.join()) {
    throw new SessionError(
      `${where} is [${sizes.join(', ')}] ${leaf.dtype}, not [${expected.join(', ')}] ${leaf.dtype}`,
    )
  }
  if (shape !== undefined) checkNames(where, leaf.shape, shape, sizes)
  bindDims([{ where, shape: leaf.shape, sizes: known.sizes }])
  if (known.data.length !== count(known.sizes))
    throw new SessionError(`${where} has ${known.data.length} numbers, where its sizes say ${count(known.sizes)}`)
  return known
}

const checkNames = (where: string, declared: Shape, said: unknown, sizes: readonly unknown[]): void => {
  if (isList(said) && said.length === declared.length && !said.some((dim, i) => differs(dim, declared[i]!, sizes[i])))
    return
  throw new SessionError(
    `${where} is declared [${declared.join(', ')}], and its shape says ${isList(said) ? `[${said.join(', ')}]` : String(said)}`,
  )
}

/** Tests whether two values have the same sizes and numbers. */
export const isSame = (a: Buffer, b: Buffer): boolean =>
  a === b || (a.sizes.join() === b.sizes.join() && a.data.every((x, i) => Object.is(x, b.data[i])))

/** A copy that the caller can no longer change. */
export const copied = (value: Buffer): Buffer => ({
  ...value,
  sizes: [...value.sizes],
  data: new arrays[value.dtype](value.data),
})

/**
 * The data for every leaf of a declared tree, in its order: no more and no less; of leaves that are not `needed`, those
 * that there are.
 * @throws {SessionError} if a leaf is missing or is not declared: `the batch has no x`
 */
export const valuesFor = <A>(
  what: string,
  declared: unknown,
  data: unknown,
  read: (place: Place & { readonly where: string }) => A,
  needed?: ReadonlySet<Node>,
): readonly A[] => {
  const {
    places: all,
    others: [other],
  } = placesOf(declared, data)
  const places = all.filter(({ leaf, found }) => needed?.has(leaf) !== false || (found !== undefined && found !== null))
  if (places.length === 0 && other === undefined) return []
  const missing = places.find(({ found }) => found === undefined || found === null)
  const isPlural = what === 'weights' || what === 'buffers'
  const has = isPlural ? `the ${what} have` : `the ${what} has`
  if (data === undefined || data === null)
    throw new SessionError(
      `there ${isPlural ? 'are' : 'is'} no ${what}: give it a value for ${places.map(({ path }) => path).join(', ')}`,
    )
  if (missing) throw new SessionError(missing.path === '' ? `there is no ${what}` : `${has} no ${missing.path}`)
  if (other !== undefined) throw new SessionError(`${has} ${other}, which is not declared`)
  return places.map(place =>
    read({ ...place, where: place.path === '' ? `the ${what}` : `${place.path} of the ${what}` }),
  )
}

/**
 * Copies of a batch's data, by path; see {@link valuesFor}. A leaf at several places must have the same data
 * everywhere.
 */
export const batchValues = (
  declared: unknown,
  batch: unknown,
  needed?: ReadonlySet<Node>,
): ReadonlyMap<string, Buffer> => {
  const found = valuesFor('batch', declared, batch, place => ({ ...place, value: copied(valueFor(place)) }), needed)
  for (const { leaf, path, value } of found) {
    const first = found.find(other => other.leaf === leaf)!
    if (!isSame(first.value, value))
      throw new SessionError(`${first.path} and ${path} of the batch are one leaf, and are given different values`)
  }
  return new Map(found.map(({ path, value }) => [path, value]))
}
