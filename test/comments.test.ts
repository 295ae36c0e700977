import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** The TypeScript sources of a folder, by their path from the root of the project. */
const sourcesIn = (folder: string): readonly (readonly [file: string, source: string])[] =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts'))
    .map(file => [
      path.posix.join(folder, file.split(path.sep).join('/')),
      readFileSync(path.join(root, folder, file), 'utf8'),
    ])

const docComment = /\/\*\*\s+([^]*?)\s*\*\//g
const clause = /^(?:what|whether|how|which|where|why|that)\b/i

/** The doc comments of a source as single lines, without the asterisks. */
const docComments = (source: string): readonly string[] =>
  [...source.matchAll(docComment)].map(([, text = '']) => text.replace(/(?:^|\s*\n)\s*\*(?!\/)\s*/g, ' ').trim())

/** The doc comments that begin with a clause instead of a noun or a verb. */
const faults = (file: string, source: string): readonly string[] =>
  docComments(source)
    .filter(text => clause.test(text))
    .map(text => `${file}: ${text.slice(0, 60)}`)

const sources = ['src', 'examples'].flatMap(sourcesIn)

test('a doc comment begins with a noun or a verb, never with What, Whether, How, Which, Where, Why or That', () => {
  assert.ok(sources.length > 300)
  assert.ok(sources.flatMap(([, source]) => docComments(source)).length > 2000)
  assert.deepEqual(
    sources.flatMap(([file, source]) => faults(file, source)),
    [],
  )
})

for (const [name, comment, fault] of [
  ['one line', '/** What a step keeps. */', 'a.ts: What a step keeps.'],
  ['several lines', '/**\n * Whether a leaf\n * is trained.\n */', 'a.ts: Whether a leaf is trained.'],
  ['a member', 'interface A {\n  /** how it ends */\n  readonly end: string\n}', 'a.ts: how it ends'],
  ['a comment behind code', "const a = 1 /** Where it is */, b = 'x'", 'a.ts: Where it is'],
] as const)
  test(`the test refutes a clause at the beginning of ${name}`, () => {
    assert.deepEqual(faults('a.ts', comment), [fault])
  })

test('a clause later in a doc comment, in another comment or in a path is no fault', () => {
  const source = [
    '/** The place where a leaf is. What follows is kept. */',
    '/**',
    ' * Whatever is left.',
    ' * @param where the words that name the place',
    ' */',
    '// What a reader should know.',
    '/* How it works. */',
    "const files = 'src/**/what/*.ts'",
  ].join('\n')
  assert.deepEqual(faults('a.ts', source), [])
})
