import { join } from 'node:path'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from 'fp-ts/lib/function.js'
import { exists, ioError, isIoError, orThrow, writeAtomically, type IoError } from '../host/index.ts'
import { leafOf, openSafetensors, safetensorsBytes } from '../io/index.ts'
import type { DType, Shape, Value } from '../tensor/index.ts'
import { carryState, isValue, leaves, mapTree, type Selection } from '../tune/index.ts'

/**
 * The state of Adam by path: its moments and the number of its updates. What a schedule counts belongs to a run, and is
 * no part of it.
 */
export type SavedMoments = ReadonlyMap<string, Value<Shape, DType>>

/** Where {@link optimizer} has the state of Adam: behind what clips. */
const adam = '1.0.'
const folder = 'optimizer'
const file = 'moments.safetensors'

/**
 * The moments of a state that a session has read.
 * @example momentsOf((await session.read()).state).get('mu.model.norm')
 */
export const momentsOf = (state: unknown): SavedMoments =>
  new Map(
    leaves(state, isValue).flatMap(([path, value]) =>
      path.startsWith(adam) ? [[path.slice(adam.length), value] as const] : [],
    ),
  )

const fits = (found: Value<Shape, DType>, value: Value<Shape, DType>): boolean =>
  found.sizes.join() === value.sizes.join() && found.dtype === value.dtype

/**
 * SavedMoments by their paths, those of columns at the places that the columns have now; one that has not a row for each
 * column it had is left out.
 */
const carriedMoments = (
  moments: SavedMoments,
  old: Selection,
  now: Selection,
): ReadonlyMap<string, Value<Shape, DType>> => {
  const rows = (path: string): number | undefined =>
    [...old].find(([module]) => path.endsWith(`.${module}`))?.[1].length
  const whole = [...moments].filter(([path, { sizes }]) => (rows(path) ?? sizes[0]) === sizes[0])
  return new Map(leaves(carryState(old, now, Object.fromEntries(whole)), isValue))
}

/** A state with moments of another run in it, those of columns at the places that the columns have now. */
export const withMoments = <S>(state: S, moments: SavedMoments, old: Selection, now: Selection): S => {
  const at = carriedMoments(moments, old, now)
  return mapTree(state, isValue, (value, path) => {
    const found = path.startsWith(adam) ? at.get(path.slice(adam.length)) : undefined
    return found && fits(found, value) ? { ...found, shape: value.shape } : value
  }) as S
}

/** Where the moments of an adapter lie. */
export const momentsFolder = (directory: string): string => join(directory, folder)

/** Writes moments as a directory of one file: `moments.safetensors`. */
export const saveMoments = (directory: string, moments: SavedMoments): TE.TaskEither<IoError, void> =>
  writeAtomically(directory, {
    // state is f32 and i32
    [file]: safetensorsBytes(
      [...moments].map(([path, value]) => leafOf(path, value as Parameters<typeof leafOf>[1])),
      { format: 'partensor' },
    ),
  })

/**
 * What of the moments does not go on: of leaves that are new, or gone, or of other sizes. One sentence, if there is
 * such.
 */
export const momentWarnings = (
  state: unknown,
  moments: SavedMoments,
  old: Selection,
  now: Selection,
): readonly string[] => {
  const carried = carriedMoments(moments, old, now)
  const taken = new Set<string>()
  const fresh: string[] = []
  for (const [path, value] of leaves(state, isValue)) {
    if (!path.startsWith(adam)) continue
    const name = path.slice(adam.length)
    const found = carried.get(name)
    if (found && fits(found, value)) taken.add(name)
    else fresh.push(name)
  }
  const unused = [...moments.keys()].filter(name => !taken.has(name))
  const count = fresh.length + unused.length
  return count === 0
    ? []
    : [`${count} of the optimizer's moments do not go on, ${fresh[0] ?? unused[0]} first: those begin at zero`]
}

/** Whether moments were saved with an adapter. Errors: a folder of them that cannot be read, or holds none. */
const momentsThere = (directory: string): TE.TaskEither<IoError, boolean> =>
  pipe(
    exists(join(directory, folder)),
    TE.flatMap(isFolder => (isFolder ? exists(join(directory, folder, file)) : TE.right(undefined))),
    TE.flatMap(isFile =>
      isFile === false
        ? TE.left(ioError(`${join(directory, folder)}: it holds no ${file}`))
        : TE.right(isFile === true),
    ),
  )

/** The moments that were saved with an adapter, if they were. */
export const loadMoments = (directory: string): TE.TaskEither<IoError, SavedMoments | undefined> =>
  pipe(
    momentsThere(directory),
    TE.flatMap((there): TE.TaskEither<IoError, SavedMoments | undefined> =>
      there
        ? TE.tryCatch(
            async () => {
              const archive = await orThrow(openSafetensors(join(directory, folder, file)))
              try {
                const moments = new Map<string, Value<Shape, DType>>()
                for (const [path, entry] of archive.tensors) {
                  const { sizes, dtype, data } = await entry.read()
                  moments.set(path, { shape: sizes, sizes, dtype, data } as Value<Shape, DType>)
                }
                return moments
              } finally {
                await archive.close()
              }
            },
            error => (isIoError(error) ? error : ioError(`${directory}: ${String(error)}`)),
          )
        : TE.right(undefined),
    ),
  )
