import path from 'node:path'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { exists, readText } from '../../host/index.ts'
import { attempt, isRecord, orThrow, parsedJson, reasonOf, refusal, shown, type IoError } from '../../text/index.ts'
import type { Found, FoundRow } from './found.ts'

/** A row as it is written: its place in words, and its two fields. */
interface Written {
  readonly at: string
  readonly image: unknown
  readonly label: unknown
}

const isClass = (label: unknown): label is string | number =>
  typeof label === 'string' ? label !== '' : Number.isSafeInteger(label) && Number(label) >= 0

/** The path that a row names, inside of the folder: a list from elsewhere reads no other files. */
const inside = (folder: string, image: string): string | undefined => {
  const file = path.isAbsolute(image) ? path.normalize(image) : path.join(folder, image)
  const from = path.relative(folder, file)
  return from === '..' || from.startsWith(`..${path.sep}`) || path.isAbsolute(from) ? undefined : file
}

const foundRow = (folder: string, { at, image, label }: Written): FoundRow => {
  if (typeof image !== 'string' || image === '') throw refusal(`${at}: "image" is ${shown(image)}: expected a path`)
  const file = inside(folder, image)
  if (file === undefined)
    throw refusal(`${at}: "image" is ${shown(image)}: expected a path inside of the folder of the file`)
  if (!isClass(label))
    throw refusal(`${at}: "label" is ${shown(label)}: expected the name of a class, or its index from 0`)
  return { at, file, label }
}

/** Files that are looked for at the same time. */
const together = 64

const checkThere = async (all: readonly FoundRow[]): Promise<void> => {
  // a file that many rows name is looked for once, where the first of them stands
  const first = new Map<string, string>()
  for (const { at, file } of all) if (!first.has(file)) first.set(file, at)
  const rows = [...first]
  for (let i = 0; i < rows.length; i += together)
    await Promise.all(
      rows.slice(i, i + together).map(async ([file, at]) => {
        if (!(await orThrow(exists(file)))) throw refusal(`${at}: there is no file ${file}`)
      }),
    )
}

const foundIn = async (file: string, written: readonly Written[]): Promise<Found> => {
  if (written.length === 0) throw refusal(`${file}: there are no rows`)
  const rows = written.map(row => foundRow(path.dirname(file), row))
  await checkThere(rows)
  return { classes: [], rows, ignored: 0 }
}

/**
 * The rows `{"image", "label"}` of a file of JSON lines. Paths begin at the folder of the file; a label is the name of
 * a class or its index.
 */
export const inJsonLines = (file: string): TE.TaskEither<IoError, Found> =>
  attempt(file, async () => {
    const lines = (await orThrow(readText(file))).replace(/^\uFEFF/, '').split('\n')
    const written = lines.flatMap((line, i): readonly Written[] => {
      if (line.trim() === '') return []
      const at = `${file} line ${i + 1}`
      const row = parsedJson(at, line)
      if (!isRecord(row)) throw refusal(`${at}: expected a JSON object with "image" and "label"`)
      return [{ at, image: row['image'], label: row['label'] }]
    })
    return foundIn(file, written)
  })

/** The columns that a header must have. */
const columns = ['image', 'label'] as const

/**
 * The rows of a CSV file (RFC 4180) whose header names the columns `image` and `label`. Paths begin at the folder of
 * the file. Labels are indices of classes if all of them are whole numbers, and names otherwise.
 */
export const inCsv = (file: string): TE.TaskEither<IoError, Found> =>
  attempt(file, async () => {
    const { parse } = await import('csv-parse/sync')
    const text = await orThrow(readText(file))
    const lines: number[] = []
    const records = ((): readonly (readonly string[])[] => {
      try {
        return parse(text, {
          bom: true,
          skip_empty_lines: true,
          onRecord: (record: string[], { lines: line }) => {
            lines.push(line)
            return record
          },
        })
      } catch (error) {
        throw refusal(`${file}: ${reasonOf(error)}`)
      }
    })()
    const [header = [], ...rest] = records
    const [image, label] = columns.map(name => {
      const at = header.indexOf(name)
      if (at < 0 || header.indexOf(name, at + 1) > 0)
        throw refusal(
          `${file}: its first line has not one column "${name}": expected a header with "image" and "label"`,
        )
      return at
    }) as [number, number]
    const numeric = rest.every(row => /^\d{1,15}$/.test(row[label]!))
    return foundIn(
      file,
      rest.map((row, i) => ({
        at: `${file} line ${lines[i + 1]}`,
        image: row[image],
        label: numeric ? Number(row[label]) : row[label],
      })),
    )
  })
