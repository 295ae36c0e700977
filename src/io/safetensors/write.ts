import { bytesPerElement, type Shape, type Value } from '../../tensor/index.ts'
import { elementCount, showSizes, type StoredDType, type StoredValue } from '../checkpoint/archive.ts'
import { bytePieces } from '../../host/index.ts'
import { refusal } from '../../text/index.ts'
import { finite } from '../checkpoint/finite.ts'

/** The element types of a tensor that is written. */
type WrittenDType = StoredDType | 'bool'
/** A tensor that is written. */
export type WrittenValue = StoredValue | Value<Shape, 'bool'>

/** A tensor to write; its data is read only when its turn comes. */
export interface Leaf {
  readonly name: string
  readonly dtype: WrittenDType
  readonly sizes: readonly number[]
  read(): Promise<WrittenValue>
}

/** A leaf from data in memory. @example leafOf('columns.model.layers.0.mlp.up_proj', value) */
export const leafOf = (name: string, value: WrittenValue): Leaf => ({
  name,
  dtype: value.dtype,
  sizes: value.sizes,
  read: async () => value,
})

const storedName: { readonly [D in WrittenDType]: string } = {
  f32: 'F32',
  i32: 'I32',
  bf16: 'BF16',
  f16: 'F16',
  bool: 'BOOL',
}
const widthOf = (dtype: WrittenDType): number => bytesPerElement[dtype]

/** The most bytes that are written at once: no system writes 2 GiB in one call. */
const pieceBytes = 2 ** 26

/**
 * Orders wide elements first, so that every tensor is aligned; then by name, so that equal contents give equal bytes.
 */
const inFileOrder = (a: Leaf, b: Leaf): number =>
  widthOf(b.dtype) - widthOf(a.dtype) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)

/**
 * The bytes of a safetensors file, piece by piece: the header (padded with spaces to 8 bytes), then one leaf after the
 * other. The same leaves in any order give the same bytes. Throws an `IoError` for a repeated name, for data that
 * disagrees with its sizes, and for numbers that are not finite.
 * @example await orThrow(writeAtomically('out', { 'model.safetensors': safetensorsBytes([leafOf('w', w)]) }))
 */
export async function* safetensorsBytes(
  leaves: readonly Leaf[],
  metadata: Readonly<Record<string, string>> = {},
): AsyncGenerator<Uint8Array> {
  const ordered = [...leaves].sort(inFileOrder)
  const repeated = ordered.find((leaf, i) => leaf.name === '__metadata__' || leaf.name === ordered[i - 1]?.name)
  if (repeated !== undefined) throw refusal(`tensor ${repeated.name}: a file holds every name once`)
  let at = 0
  const entries = ordered.map(({ name, dtype, sizes }): [string, unknown] => {
    const begin = at
    at += (elementCount(sizes) ?? NaN) * widthOf(dtype)
    if (!Number.isSafeInteger(at)) throw refusal(`tensor ${name}: ${showSizes(sizes)} are no sizes`)
    return [name, { dtype: storedName[dtype], shape: sizes, data_offsets: [begin, at] }]
  })
  const about: [string, unknown][] =
    Object.keys(metadata).length === 0
      ? []
      : [['__metadata__', Object.fromEntries(Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1)))]]
  const json = `{${[...about, ...entries].map(([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`).join(',')}}`
  const header = new TextEncoder().encode(json + ' '.repeat((8 - (Buffer.byteLength(json) % 8)) % 8))
  const length = new Uint8Array(8)
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true)
  yield length
  yield header
  for (const leaf of ordered) {
    const value = await leaf.read()
    const { dtype, data } = value
    if (dtype !== leaf.dtype || data.length !== elementCount(leaf.sizes)) {
      throw refusal(
        `tensor ${leaf.name}: ${data.length} elements of ${dtype} were read, expected ${leaf.dtype} ${showSizes(leaf.sizes)}`,
      )
    }
    if (value.dtype !== 'bool') finite(`tensor ${leaf.name}`, value)
    yield* bytePieces(data, pieceBytes)
  }
}
