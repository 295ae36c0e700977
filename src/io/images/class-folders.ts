import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { attempt, refusal, type IoError } from '../../text/index.ts'
import type { Found } from './found.ts'

/** The endings of the files that are read. */
const ending = /\.(?:png|jpe?g|webp)$/i

const isHidden = (file: string): boolean => file.split(path.sep).some(part => part.startsWith('.'))

/** The files of a folder, at any depth, without hidden ones; hidden is what is so below `root`. */
const filesIn = async (folder: string, root = folder): Promise<readonly string[]> => {
  const inside = await readdir(folder, { recursive: true, withFileTypes: true })
  return inside
    .filter(entry => entry.isFile() || entry.isSymbolicLink())
    .map(entry => path.join(entry.parentPath, entry.name))
    .filter(file => !isHidden(path.relative(root, file)))
}

/**
 * The images of a folder whose folders are classes, at any depth, in order of their paths. Hidden files and folders are
 * left out, and other files are counted.
 */
export const inClassFolders = (folder: string): TE.TaskEither<IoError, Found> =>
  attempt(folder, async () => {
    const entries = (await readdir(folder, { withFileTypes: true })).filter(({ name }) => !isHidden(name))
    const classes = entries.filter(entry => entry.isDirectory()).map(({ name }) => name)
    const files = await Promise.all(
      classes.map(async name => (await filesIn(path.join(folder, name), folder)).map(file => ({ name, file }))),
    )
    const images = files.flat().filter(({ file }) => ending.test(file))
    const rows = images.map(({ name, file }) => ({ at: file, file, label: name }))
    return {
      classes,
      rows: rows.sort((a, b) => (a.file < b.file ? -1 : 1)),
      ignored: files.flat().length - images.length + entries.length - classes.length,
    }
  })

/**
 * The image files of a folder, at any depth, in order of their paths; or the one file that is named. Errors: no such
 * path; a folder without images.
 * @example await orThrow(imageFiles('photos'))
 */
export const imageFiles = (place: string): TE.TaskEither<IoError, readonly string[]> =>
  attempt(place, async () => {
    if (!(await stat(place)).isDirectory()) return [place]
    const files = (await filesIn(place)).filter(file => ending.test(file))
    if (files.length === 0) throw refusal(`${place}: there are no images: expected PNG, JPEG or WebP files`)
    return files.sort((a, b) => (a < b ? -1 : 1))
  })
