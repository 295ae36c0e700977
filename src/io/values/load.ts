import * as E from 'fp-ts/lib/Either.js'
import { orThrow, refusal } from '../../text/index.ts'
import { show, unifyAll, type DataOf, type DType, type Shape, type Tensor, type Value } from '../../tensor/index.ts'
import { isTensor, isValue, leaves, mapTree, type AnyValue, type Tree } from '../../tune/index.ts'
import type { Archive, Entry } from '../checkpoint/archive.ts'
import { openSafetensors } from '../safetensors/read.ts'
import { dimsKey, ownPrefix, shapesIn } from './metadata.ts'
import { nestedFrom } from './nest.ts'

/** The tree of data for a tree of tensors or of values. */
export type LoadedLike<T> =
  T extends Tensor<infer S, infer D>
    ? Value<S, D>
    : T extends AnyValue
      ? T
      : T extends readonly unknown[]
        ? { readonly [K in keyof T]: LoadedLike<T[K]> }
        : { readonly [K in keyof T as Exclude<K, symbol>]: LoadedLike<T[K]> }

/** The types in a file that become an element type, each without loss. */
const storedAs: { readonly [D in DType]: readonly string[] } = {
  f32: ['F32', 'BF16', 'F16'],
  i32: ['I32', 'I64', 'U8'],
  bool: ['BOOL'],
  bf16: ['BF16'],
  f16: ['F16'],
}
/** The element type of a tensor of a file that nothing declares. */
const ownDType = (dtype: string): DType =>
  dtype === 'BF16'
    ? 'bf16'
    : dtype === 'F16'
      ? 'f16'
      : dtype === 'BOOL'
        ? 'bool'
        : dtype.startsWith('F')
          ? 'f32'
          : 'i32'

const dataAs = async (entry: Entry, dtype: DType): Promise<DataOf<DType>> => {
  if (dtype === 'f32') return orThrow(entry.readF32())
  const { data } = await entry.read()
  return dtype === 'bool' ? Uint8Array.from(data) : data
}
const valueAs = async (entry: Entry, shape: Shape, dtype: DType): Promise<AnyValue> => ({
  shape,
  sizes: entry.sizes,
  dtype,
  data: await dataAs(entry, dtype),
})

/** A leaf that declares what is expected: its shape and its element type. */
type Declared = Pick<AnyValue, 'shape' | 'dtype'>
const isDeclared = (leaf: unknown): leaf is Declared => isTensor(leaf) || isValue(leaf)

/** Tests whether a saved name is another than the declared one; a number stands for any dim of its size. */
const isOther = (saved: Shape, declared: Shape): boolean =>
  saved.length !== declared.length ||
  saved.some((dim, axis) => typeof dim === 'string' && typeof declared[axis] === 'string' && dim !== declared[axis])

/** The tensors of a file in the places of a declared tree. */
const fitted = async (
  { path: file, tensors }: Archive,
  shapes: ReadonlyMap<string, Shape>,
  like: unknown,
): Promise<unknown> => {
  const declared = leaves(like, isDeclared)
  const paths = new Set(declared.map(([path]) => path))
  const missing = declared.find(([path]) => !tensors.has(path))
  if (missing !== undefined) throw refusal(`${file}: there is no ${missing[0]}`)
  const other = [...tensors.keys()].find(name => !paths.has(name))
  if (other !== undefined) throw refusal(`${file}: it holds ${other}, which is not declared`)
  for (const [path, { shape, dtype }] of declared) {
    const entry = tensors.get(path)!
    if (!storedAs[dtype].includes(entry.dtype))
      throw refusal(`${file}: ${path} is ${entry.dtype}, and ${dtype} is declared`)
    const saved = shapes.get(path)
    if (saved !== undefined && isOther(saved, shape))
      throw refusal(`${file}: ${path} is ${show(saved)}, and ${show(shape)} is declared`)
  }
  const bound = unifyAll(declared.map(([path, { shape }]) => ({ where: path, shape, sizes: tensors.get(path)!.sizes })))
  if (E.isLeft(bound)) throw refusal(`${file}: ${bound.left}`)
  const read = new Map<string, AnyValue>()
  for (const [path, { shape, dtype }] of declared) read.set(path, await valueAs(tensors.get(path)!, shape, dtype))
  return mapTree(like, isDeclared, (_, path) => read.get(path))
}

/** All tensors of a file, nested by the dots in their names. */
const all = async ({ path: file, tensors }: Archive, shapes: ReadonlyMap<string, Shape>): Promise<Tree<AnyValue>> => {
  const read: (readonly [string, AnyValue])[] = []
  for (const [name, entry] of tensors) {
    const saved = shapes.get(name)
    const shape = saved?.length === entry.sizes.length ? saved : entry.sizes
    read.push([name, await valueAs(entry, shape, ownDType(entry.dtype))])
  }
  return nestedFrom(file, read)
}

/**
 * Loads a tree of values from a safetensors file. `like` is the tree that is expected, of declared tensors or of values:
 * the file then holds these paths and no others, and names, sizes and types are checked. 16-bit numbers become f32 if f32
 * is declared, and 64-bit integers i32 if they fit; every other difference of types is refused. Without `like`, the tree
 * follows from the dots in the names, and keys 0, 1, … make an array; a file of another program has sizes for names.
 *
 * Rejects with one sentence for a file that is missing or broken, and for the first path that differs.
 * @example const weights = await load('weights.safetensors', mlp.params)
 */
export function loadValues<T>(file: string, like: T): Promise<LoadedLike<T>>
export function loadValues(file: string): Promise<Tree<AnyValue>>
export async function loadValues(file: string, like?: unknown): Promise<unknown> {
  const archive = await orThrow(openSafetensors(file))
  try {
    const shapes = shapesIn(file, archive.metadata.get(dimsKey))
    return like === undefined ? await all(archive, shapes) : await fitted(archive, shapes, like)
  } finally {
    await archive.close()
  }
}

/**
 * The metadata that was saved with a tree, without Partensor's own.
 * @example const { epoch } = await savedMetadata('weights.safetensors')
 */
export const savedMetadata = async (file: string): Promise<Readonly<Record<string, string>>> => {
  const archive = await orThrow(openSafetensors(file))
  await archive.close()
  return Object.fromEntries(
    [...archive.metadata].flatMap(([key, text]) => (key.startsWith(ownPrefix) ? [] : [[key, String(text)]])),
  )
}
