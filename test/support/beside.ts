import { readFileSync } from 'node:fs'
import * as partensor from '../../src/index.ts'
import { f32, i32, type Node } from '../../src/index.ts'
import { isNode, placeholder } from '../../src/compiler.ts'
import { pageNamed } from './pages.ts'

// The tables of docs/beside-jax.md: their rows, the expressions in them, and the numbers and names of JAX.

/** A row of a table: the names that it is about, the expressions of both sides, and what it says. */
export interface Row {
  readonly section: string
  readonly names: readonly string[]
  readonly jax: string | undefined
  /** The expression or the names here; undefined if there is nothing. */
  readonly here: string | undefined
  readonly note: string
}
/** A result of JAX: its element type, its sizes and its numbers. */
export type Written = readonly [
  dtype: 'f32' | 'i32' | 'bool',
  sizes: readonly number[],
  data: readonly (number | string)[],
]

const cellsOf = (line: string): readonly string[] =>
  line
    .replace(/^\||\|$/g, '')
    .split('|')
    .map(cell => cell.trim())
const codes = (cell: string): readonly string[] => [...cell.matchAll(/`([^`]+)`/g)].map(match => match[1]!)

/** The rows of the tables with a column *Partensor*, in the order of a page. */
export const rowsOf = (lines: readonly string[]): readonly Row[] => {
  const rows: Row[] = []
  let section = ''
  let columns: readonly string[] = []
  for (const line of lines) {
    if (line.startsWith('## ')) section = line.slice(3)
    const cells = line.startsWith('|') ? cellsOf(line) : []
    if (columns.length === 0 || cells.length === 0) columns = cells
    else if (columns.includes('Partensor') && !/^-+$/.test(cells[0]!)) {
      const cell = (column: string): string => cells[columns.indexOf(column)] ?? ''
      rows.push({
        section,
        names: codes(cell('name')),
        jax: codes(cell('JAX'))[0],
        here: cell('Partensor') === '—' ? undefined : cell('Partensor'),
        note: cell('note'),
      })
    }
  }
  return rows
}

export const besidePage = pageNamed('docs/beside-jax.md')
export const besideRows = rowsOf(besidePage.lines)

const golden = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../golden/beside/${name}.json`, import.meta.url), 'utf8'))
export const { inputs: inputNumbers, ...besideNumbers } = golden('numbers') as {
  readonly inputs: Readonly<Record<string, Written>>
} & Readonly<Record<string, Readonly<Record<string, readonly Written[]>>>>
const { versions: _, ...names } = golden('names') as {
  readonly versions: Readonly<Record<string, string>>
} & Readonly<Record<string, readonly string[]>>
/** The public names of each namespace. */
export const theirNames: Readonly<Record<string, readonly string[]>> = names

/** The declarations of the inputs, as TypeScript. */
export const declarations = [
  'const x = f32(2, 3), y = f32(2, 3), u = f32(2, 3), q = f32(2, 3), v = f32(4), w = f32(4), s = f32(3, 3)',
  'const t = f32(2, 3, 4), i = i32(4), j = i32(4), k = i32(2, 3), a = less(x, y), b = less(y, x)',
].join('\n')
/** The inputs. */
export const inputs: Readonly<Record<string, Node>> = Object.fromEntries(
  Object.entries(inputNumbers).map(([name, [dtype, sizes]]) => [
    name,
    dtype === 'f32' ? f32(...sizes) : dtype === 'i32' ? i32(...sizes) : placeholder(sizes, 'bool'),
  ]),
)

/** A result here: an expression, or a value. */
export type Result = Node | partensor.AnyValue
/** The results of an expression of a row, which JavaScript can read if it has no types. */
export const resultsOf = (source: string): readonly Result[] => {
  const scope = { ...partensor, ...inputs }
  const plain = source.replaceAll(': typeof v', '')
  const made: unknown = new Function(...Object.keys(scope), `return (${plain})`)(...Object.values(scope))
  return (Array.isArray(made) ? made : [made]) as readonly Result[]
}
export const isExpression = (result: Result): result is Node => isNode(result)
