import * as E from 'fp-ts/lib/Either.js'
import * as RA from 'fp-ts/lib/ReadonlyArray.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from 'fp-ts/lib/function.js'
import { fail, ioError, isIoError, type IoError } from '../text/index.ts'
import { openSafetensors, type Checkpoint } from '../io/index.ts'
import type { ResolvedModule } from '../tune/modules/modules.ts'
import { widthOf } from './tune.ts'

const checkSelection = (
  path: string,
  name: string,
  width: number,
  rank: number,
  selected: Int32Array,
): E.Either<IoError, Int32Array> => {
  if (selected.length !== rank)
    return fail(`${path}: ${name} holds ${selected.length} columns, and the rank is ${rank}`)
  const outside = selected.find(column => column < 0 || column >= width)
  if (outside !== undefined) return fail(`${path}: ${name} holds column ${outside}, and the module has ${width}`)
  return new Set(selected).size < rank ? fail(`${path}: ${name} holds a column twice`) : E.right(selected)
}

/**
 * Reads a selection: `columns.<module path>`, int32 `[rank]`, of every module that is tuned; other entries are ignored.
 * Errors: a missing entry, an entry of another type or length, a column that does not exist or occurs twice.
 * @example await readColumns('columns.safetensors', targets.modules, checkpoint)()
 */
export const readColumns = (
  path: string,
  modules: readonly ResolvedModule[],
  checkpoint: Checkpoint,
): TE.TaskEither<IoError, ReadonlyMap<string, Int32Array>> =>
  TE.bracket(
    openSafetensors(path),
    archive =>
      pipe(
        modules,
        RA.traverse(TE.ApplicativeSeq)(({ path: module, rank }) => {
          const name = `columns.${module}`
          const entry = archive.tensors.get(name)
          if (entry === undefined) return TE.left(ioError(`${path}: it has no ${name}`))
          return pipe(
            TE.tryCatch(
              () => entry.read(),
              error => (isIoError(error) ? error : ioError(`${path}: ${String(error)}`)),
            ),
            TE.flatMapEither(({ dtype, data }) =>
              dtype === 'i32'
                ? checkSelection(path, name, widthOf(checkpoint, module), rank, data)
                : fail(`${path}: ${name} is ${entry.dtype}, not int32`),
            ),
            TE.map(columns => [module, columns] as const),
          )
        }),
        TE.map(pairs => new Map(pairs)),
      ),
    archive => TE.fromTask(() => archive.close()),
  )
