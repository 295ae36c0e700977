import { access } from 'node:fs/promises'
import { join } from 'node:path'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from 'fp-ts/lib/function.js'
import { ioError, isIoError, leafOf, openSafetensors, orThrow, safetensorsBytes, writeAtomically, type IoError } from '../io/index.ts'
import type { DType, Shape, Value } from '../tensor/index.ts'
import { carryState, isValue, leaves, mapTree, type ColumnSelection } from '../tune/index.ts'

/** The state of Adam by path: its moments and the number of its updates. What a schedule counts belongs to a run, and is no part of it. */
export type Moments = ReadonlyMap<string, Value<Shape, DType>>

/** Where {@link optimizer} has the state of Adam: behind what clips. */
const adam = '1.0.'
const folder = 'optimizer', file = 'moments.safetensors'

/** The moments of a state that a session has read. @example momentsOf((await session.read()).state).get('mu.model.norm') */
export const momentsOf = (state: unknown): Moments =>
  new Map(leaves(state, isValue).flatMap(([path, value]) => (path.startsWith(adam) ? [[path.slice(adam.length), value] as const] : [])))

/** A state with moments of another run in it, those of columns at the places that the columns have now. */
export const withMoments = <S>(state: S, moments: Moments, old: ColumnSelection, now: ColumnSelection): S => {
  const carried = carryState(old, now, Object.fromEntries(moments))
  const at = new Map(leaves(carried, isValue))
  return mapTree(state, isValue, (value, path) => {
    const found = path.startsWith(adam) ? at.get(path.slice(adam.length)) : undefined
    return found && found.sizes.join() === value.sizes.join() && found.dtype === value.dtype ? { ...found, shape: value.shape } : value
  }) as S
}

/** Where the moments of an adapter lie. */
export const momentsFolder = (directory: string): string => join(directory, folder)

/** Writes moments as a directory of one file: `moments.safetensors`. */
export const saveMoments = (directory: string, moments: Moments): TE.TaskEither<IoError, void> =>
  writeAtomically(directory, {
    // state is f32 and i32
    [file]: safetensorsBytes([...moments].map(([path, value]) => leafOf(path, value as Parameters<typeof leafOf>[1])), { format: 'partensor' }),
  })

/** The moments that were saved with an adapter, if they were. */
export const loadMoments = (directory: string): TE.TaskEither<IoError, Moments | undefined> => pipe(
  TE.fromTask(() => access(join(directory, folder, file)).then(() => true, () => false)),
  TE.flatMap((there): TE.TaskEither<IoError, Moments | undefined> => (there ? TE.tryCatch(async () => {
    const archive = await orThrow(openSafetensors(join(directory, folder, file)))
    try {
      const moments = new Map<string, Value<Shape, DType>>()
      for (const [path, entry] of archive.tensors) {
        const { sizes, dtype, data } = await entry.read()
        moments.set(path, { shape: sizes, sizes, dtype, data } as Value<Shape, DType>)
      }
      return moments
    } finally { await archive.close() }
  }, error => (isIoError(error) ? error : ioError(`${directory}: ${String(error)}`))) : TE.right(undefined))))
