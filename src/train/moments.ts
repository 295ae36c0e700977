import { join } from 'node:path'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from '../either/index.ts'
import { exists, writeAtomically } from '../host/index.ts'
import { ioError, isIoError, orThrow, type IoError } from '../text/index.ts'
import { leafOf, openSafetensors, safetensorsBytes } from '../io/index.ts'
import type { DType, Shape, Value } from '../tensor/index.ts'
import { carryState, isValue, leaves, mapTree, type OptimizerName, type Selection } from '../tune/index.ts'

/**
 * The memory of gradients that an optimizer keeps, by path: for Adam both moments and the number of its updates. The
 * count of a schedule belongs to a run and is not included.
 */
export interface SavedMoments {
  /** The name of one of {@link optimizers}, or of an optimizer that this version does not know. */
  readonly optimizer: string
  readonly values: ReadonlyMap<string, Value<Shape, DType>>
}
/** The moments of another run, and the columns that it and this one train. */
export interface MomentsOfRun {
  readonly saved: SavedMoments
  readonly old: Selection
  readonly now: Selection
  /** The optimizer of this run. */
  readonly optimizer: OptimizerName
}
/** The state of a run's optimizer in a session. */
interface HasMoments {
  readonly moments: unknown
}

const folder = 'optimizer'
const file = 'moments.safetensors'
/** The optimizer of moments whose file names none: 0.1.0 had only this one. */
const first: OptimizerName = 'adamw'

/**
 * The moments in a state that a session has read.
 * @example momentsOf('adamw', (await session.read()).state).values.get('mu.model.norm')
 */
export const momentsOf = (optimizer: OptimizerName, { moments }: HasMoments): SavedMoments => ({
  optimizer,
  values: new Map(leaves(moments, isValue)),
})

const fits = (found: Value<Shape, DType>, value: Value<Shape, DType>): boolean =>
  found.sizes.join() === value.sizes.join() && found.dtype === value.dtype

/**
 * Moments by path, with those of columns moved to the columns' present positions; one without a row for each of its
 * former columns is left out, and so are all moments of another optimizer.
 */
const carriedMoments = ({ saved, old, now, optimizer }: MomentsOfRun): SavedMoments['values'] => {
  if (saved.optimizer !== optimizer) return new Map()
  const rows = (path: string): number | undefined =>
    [...old].find(([module]) => path.endsWith(`.${module}`))?.[1].length
  const whole = [...saved.values].filter(([path, { sizes }]) => (rows(path) ?? sizes[0]) === sizes[0])
  return new Map(leaves(carryState(old, now, Object.fromEntries(whole)), isValue))
}

/** A state with the moments of another run in it, with those of columns moved to the columns' present positions. */
export const withMoments = <S extends HasMoments>(state: S, run: MomentsOfRun): S => {
  const at = carriedMoments(run)
  return {
    ...state,
    moments: mapTree(state.moments, isValue, (value, path) => {
      const found = at.get(path)
      return found && fits(found, value) ? { ...found, shape: value.shape } : value
    }),
  }
}

/** The directory of an adapter's moments. */
export const momentsFolder = (directory: string): string => join(directory, folder)

/** Writes moments as a directory of one file: `moments.safetensors`. */
export const saveMoments = (directory: string, { optimizer, values }: SavedMoments): TE.TaskEither<IoError, void> =>
  writeAtomically(directory, {
    // state is f32 and i32
    [file]: safetensorsBytes(
      [...values].map(([path, value]) => leafOf(path, value as Parameters<typeof leafOf>[1])),
      { format: 'partensor', optimizer },
    ),
  })

/**
 * A warning about moments that cannot be continued, because they are another optimizer's, or their leaves are new, gone
 * or of other sizes; one sentence, if there are any.
 */
export const momentWarnings = ({ moments }: HasMoments, run: MomentsOfRun): readonly string[] => {
  const { saved, optimizer } = run
  if (saved.optimizer !== optimizer)
    return saved.values.size === 0
      ? []
      : [`the optimizer's moments are those of ${saved.optimizer}, and this run has ${optimizer}: they begin at zero`]
  const carried = carriedMoments(run)
  const taken = new Set<string>()
  const fresh: string[] = []
  for (const [path, value] of leaves(moments, isValue)) {
    const found = carried.get(path)
    if (found && fits(found, value)) taken.add(path)
    else fresh.push(path)
  }
  const unused = [...saved.values.keys()].filter(name => !taken.has(name))
  const count = fresh.length + unused.length
  return count === 0
    ? []
    : [`${count} of the optimizer's moments do not go on, ${fresh[0] ?? unused[0]} first: those begin at zero`]
}

/**
 * Tests whether moments were saved with an adapter. Errors: a folder of moments that cannot be read, or contains none.
 */
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
                const values = new Map<string, Value<Shape, DType>>()
                for (const [path, entry] of archive.tensors) {
                  const { sizes, dtype, data } = await entry.read()
                  values.set(path, { shape: sizes, sizes, dtype, data } as Value<Shape, DType>)
                }
                return { optimizer: String(archive.metadata.get('optimizer') ?? first), values }
              } finally {
                await archive.close()
              }
            },
            error => (isIoError(error) ? error : ioError(`${directory}: ${String(error)}`)),
          )
        : TE.right(undefined),
    ),
  )
