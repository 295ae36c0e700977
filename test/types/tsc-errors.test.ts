import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { faults } from '../support/type-fixtures.ts'
import { typeCheck, typeCheckAll, type Diagnostic } from '../support/tsc.ts'

const folder = new URL('fixtures/', import.meta.url)
const fixtures = readdirSync(folder).filter(name => name.endsWith('.ts.txt'))
const read = (name: string): string => readFileSync(new URL(name, folder), 'utf8')

/** Errors that nobody reads to their end. TypeScript 5.9 has three lines for each of two overloads, and one above. */
const long = (diagnostics: readonly Diagnostic[]): readonly string[] =>
  diagnostics.map(({ text }) => text).filter(text => text.split('\n').length > 7)

for (const name of fixtures) {
  test(`${name}: tsc refuses the marked lines with their texts, of a few lines each, and no other line, within its budget`, async () => {
    const source = read(name)
    const report = await typeCheck(source)
    assert.deepEqual(faults(source, report), [])
    assert.deepEqual(long(report.diagnostics), [])
  })
}

test('TypeScript 5.9 refuses the same lines with the same texts, of a few lines each', async () => {
  const sources = fixtures.map(read)
  const found = await typeCheckAll(sources, 'typescript-5.9')
  for (const [i, diagnostics] of found.entries()) {
    assert.deepEqual(faults(sources[i]!, { diagnostics, instantiations: 0 }), [], fixtures[i])
    assert.deepEqual(long(diagnostics), [], fixtures[i])
  }
})

const program = `
import type { Fault, MatMul } from 'src/tensor/shape/index.ts'
declare function matmul<A extends readonly string[], B extends readonly string[]>(a: A, b: B & Fault<MatMul<A, B>>): void
declare const x: readonly ['batch', 'hidden'], up: readonly ['hidden', 'ffn'], down: readonly ['ffn', 'hidden']
`
const fails = async (lines: string): Promise<readonly string[]> =>
  faults(program + lines, await typeCheck(program + lines))

test('the harness accepts what is true', async () => {
  assert.deepEqual(
    await fails('// error: matmul: inner dims hidden and ffn differ\nmatmul(x, down)\nmatmul(x, up)\n'),
    [],
  )
})
for (const [mutant, lines, fault] of [
  [
    'a wrong text',
    '// error: matmul: inner dims ffn and hidden differ\nmatmul(x, down)\n',
    /^line 6 is not refused with: matmul: inner dims ffn/,
  ],
  [
    'a part of the text',
    '// error: inner dims hidden and ffn\nmatmul(x, down)\n',
    /^line 6 is not refused with: inner dims hidden and ffn/,
  ],
  ['an error that is not marked', 'matmul(x, down)\n', /^line 5 is refused: /],
  [
    'a mark where there is no error',
    '// error: matmul: inner dims hidden and ffn differ\nmatmul(x, up)\n',
    /^line 6 is not refused with: /,
  ],
  [
    'a budget that is exceeded',
    '// instantiations: 1\nmatmul(x, up)\n',
    /instantiations are more than the budget of 1$/,
  ],
] as const) {
  test(`the harness refutes ${mutant}`, async () => {
    const found = await fails(lines)
    assert.equal(found.length, 1)
    assert.match(found[0] ?? '', fault)
  })
}
