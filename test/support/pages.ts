import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../', import.meta.url))

/** A block of code: its language, the number of the line of its fence, its text, and the line of prose before it. */
export interface Block {
  readonly language: string
  readonly line: number
  readonly source: string
  readonly before: string
  /** The block of language `text` or `json` that follows at once: the expected output. */
  readonly shown?: Block
}

/** A page in Markdown: its path from the root of the project, its lines, and its blocks of code in order. */
export interface Page {
  readonly name: string
  readonly lines: readonly string[]
  readonly blocks: readonly Block[]
}

/** The blocks of a page, without their output. @example fenced(['```sh', 'npm test', '```']).length // 1 */
const fenced = (lines: readonly string[]): readonly Block[] => {
  const blocks: Block[] = []
  let open: number | undefined
  let before = ''
  for (const [i, line] of lines.entries()) {
    if (!line.startsWith('```')) {
      if (open === undefined && line !== '') before = line
      continue
    }
    if (open === undefined) {
      open = i
      continue
    }
    const source = lines
      .slice(open + 1, i)
      .map(text => `${text}\n`)
      .join('')
    blocks.push({ language: lines[open]!.slice(3), line: open + 1, source, before })
    before = ''
    open = undefined
  }
  if (open !== undefined) throw new Error(`the block that begins on line ${open + 1} does not end`)
  return blocks
}

const programs = ['ts', 'sh']
const outputs = ['text', 'json']

/**
 * Reads a page from its text. An output belongs to the program right before it, with nothing but an empty line between.
 */
export const pageOf = (name: string, text: string): Page => {
  const lines = text.split('\n')
  const blocks = fenced(lines)
  const outputOf = (i: number): Block | undefined => {
    const [program, next] = [blocks[i], blocks[i + 1]]
    return program !== undefined &&
      programs.includes(program.language) &&
      next !== undefined &&
      outputs.includes(next.language) &&
      next.before === ''
      ? next
      : undefined
  }
  return {
    name,
    lines,
    blocks: blocks.flatMap((block, i) => {
      const shown = outputOf(i)
      return outputOf(i - 1) !== undefined ? [] : [shown === undefined ? block : { ...block, shown }]
    }),
  }
}

const names = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...readdirSync(path.join(root, 'docs'))
    .filter(name => name.endsWith('.md'))
    .sort()
    .map(name => `docs/${name}`),
]

/** The pages that users read. */
export const pages: readonly Page[] = names.map(name => pageOf(name, readFileSync(path.join(root, name), 'utf8')))

/** The page of that name. @example pageNamed('docs/architecture.md') */
export const pageNamed = (name: string): Page => {
  const found = pages.find(page => page.name === name)
  if (found === undefined) throw new Error(`there is no page ${name}`)
  return found
}

/** The floor plan of `src/`, as docs/architecture.md lists it: a room imports only rooms before it in this list. */
export const rooms: readonly string[] = pageNamed('docs/architecture.md').blocks.flatMap(({ source }) =>
  [...source.matchAll(/^src\/([a-z]+)\/ /gm)].map(match => match[1]!),
)

/** Further doors of rooms, beside their indices, by their path from `src`. */
export const doors: readonly string[] = pageNamed('docs/architecture.md').blocks.flatMap(({ source }) =>
  [...source.matchAll(/^src\/([a-z]+\/[a-z/-]+\.ts) /gm)].map(match => match[1]!),
)
