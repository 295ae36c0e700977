import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from 'fp-ts/lib/function.js'
import { statusOf } from '../../host/index.ts'
import { attempt, fail, quoted, type IoError } from '../../text/index.ts'
import { inClassFolders } from './class-folders.ts'
import type { Found, FoundRow } from './found.ts'
import { inCsv, inJsonLines } from './labelled-rows.ts'

/** An image file and its class, an index into the names of the classes. */
export interface LabelledImage {
  readonly file: string
  readonly label: number
}

/** Images with their classes, and the number of files that were found and are none. */
export interface LabelledImages {
  readonly classes: readonly string[]
  /** True if labels are names of classes, and false if they are indices. */
  readonly named: boolean
  readonly images: readonly LabelledImage[]
  readonly warnings: { readonly ignored: number }
}

/** The options of {@link readLabelled}. */
export interface LabelledOptions {
  /** The names of the classes that a head has, in its order. Without them, the data state the classes. */
  readonly classes?: readonly string[] | undefined
}

/** The classes of a source without a head: names in order of their code units, or indices from 0. */
const ownClasses = (path: string, { classes, rows }: Found): E.Either<IoError, readonly string[]> => {
  const labels = new Set(rows.map(({ label }) => label))
  const numbers = [...labels].filter(label => typeof label === 'number')
  if (numbers.length === 0) return E.right([...new Set([...classes, ...labels].map(String))].sort())
  const most = numbers.reduce((a, b) => Math.max(a, b))
  for (let label = 0; label < most; label++)
    if (!labels.has(label)) return fail(`${path}: the class ${label} has no images, and labels go up to ${most}`)
  return E.right(Array.from({ length: most + 1 }, (_, label) => String(label)))
}

const listed = (classes: readonly string[]): string =>
  classes.length > 8 ? `${classes.slice(0, 8).map(quoted).join(', ')}, …` : classes.map(quoted).join(', ')

/** The index of each row's class, or one sentence about the first row that has none. */
const indices = (classes: readonly string[], { rows }: Found): E.Either<IoError, readonly LabelledImage[]> => {
  const known = new Map(classes.map((name, label) => [name, label]))
  return E.traverseArray(({ at, file, label }: FoundRow): E.Either<IoError, LabelledImage> => {
    const index = typeof label === 'number' ? label : known.get(label)
    return index !== undefined && index < classes.length
      ? E.right({ file, label: index })
      : fail(
          `${at}: the label ${quoted(label)} is outside the ${classes.length} classes of the head: ${listed(classes)}`,
        )
  })(rows)
}

const labelled = (
  path: string,
  found: Found,
  head: readonly string[] | undefined,
): E.Either<IoError, LabelledImages> => {
  const { classes, rows, ignored } = found
  const [first, ...others] = rows
  if (first === undefined)
    return fail(`${path}: there are no images: expected folders, one for each class, of PNG, JPEG or WebP files`)
  const filled = new Set(rows.map(({ label }) => label))
  const empty = classes.find(name => !filled.has(name))
  if (empty !== undefined) return fail(`${path}: the class ${quoted(empty)} has no images`)
  const other = others.find(({ label }) => typeof label !== typeof first.label)
  if (other !== undefined)
    return fail(
      `${other.at}: the label is ${quoted(other.label)}, and that of ${first.at} ${quoted(first.label)}: expected names or indices`,
    )
  if (head === undefined && filled.size === 1)
    return fail(`${path}: every image has the class ${quoted(first.label)}: expected two classes or more`)
  return pipe(
    head === undefined ? ownClasses(path, found) : E.right(head),
    E.flatMap(names =>
      pipe(
        indices(names, found),
        E.map(images => ({ classes: names, named: typeof first.label === 'string', images, warnings: { ignored } })),
      ),
    ),
  )
}

const found = (path: string): TE.TaskEither<IoError, Found> =>
  pipe(
    attempt(path, () => statusOf(path)),
    TE.flatMap(status => {
      if (status.isDirectory()) return inClassFolders(path)
      if (/\.csv$/i.test(path)) return inCsv(path)
      if (/\.jsonl$/i.test(path)) return inJsonLines(path)
      return TE.fromEither(
        fail(`${path}: expected a folder with a folder for each class, a .jsonl file or a .csv file`),
      )
    }),
  )

/**
 * Reads which images there are and their classes; no image is decoded. A path is one of
 *
 * - a folder with a folder for each class, which holds PNG, JPEG and WebP files at any depth; classes are in order of
 *   their names, by code units, as torchvision's `ImageFolder` has them;
 * - a `.jsonl` file of rows `{"image": path, "label": name or index}`;
 * - a `.csv` file whose header names the columns `image` and `label`.
 *
 * Errors: no images, a class without one, a single class unless `classes` are specified, a missing file, a label outside
 * the head's classes, a row that cannot be read, which is named by its line.
 * @example const { classes, images } = await orThrow(readLabelled('digits'))
 */
export const readLabelled = (path: string, { classes }: LabelledOptions = {}): TE.TaskEither<IoError, LabelledImages> =>
  pipe(
    found(path),
    TE.flatMapEither(all => labelled(path, all, classes)),
  )
