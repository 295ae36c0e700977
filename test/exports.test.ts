import assert from 'node:assert/strict'
import { test } from 'node:test'
import ts from 'typescript-5.9'
import { readExports, wholeProject, type Exported, type Exports } from './support/exports.ts'

/** Exports that nobody imports. Types that a declaration mentions have to be nameable, imported or not. */
const deadIn = ({ files, indices }: Exports): readonly string[] => {
  const isDead = ({ importedBy, isMentioned, isType }: Exported): boolean =>
    importedBy.length === 0 && !(isType && isMentioned)
  return [...files, ...indices].filter(isDead).map(({ file, name }) => `${file}: ${name}`)
}

test('every export of a file is imported, and every export of a room by another room or a public entry', () => {
  const exports = readExports(wholeProject())
  assert.ok(exports.files.length > 1000 && exports.indices.length > 300)
  assert.deepEqual(deadIn(exports), [])
})

const sound = {
  '/src/index.ts': "export { f } from './a/index.ts'",
  '/src/a/index.ts': "export { f } from './x.ts'\nexport * from './y.ts'",
  '/src/a/x.ts': 'export interface Options { readonly n: number }\nexport const f = (_: Options): void => {}',
  '/src/a/y.ts': 'export const g = 1',
  '/src/b/z.ts': "import { g } from '../a/index.ts'\ng.toFixed()",
}
/** A program of a few files in memory. */
const programOf = (files: Readonly<Record<string, string>>): ts.Program => {
  const options: ts.CompilerOptions = {
    noLib: true,
    allowImportingTsExtensions: true,
    noEmit: true,
    module: ts.ModuleKind.NodeNext,
  }
  const host = ts.createCompilerHost(options)
  return ts.createProgram(Object.keys(files), options, {
    ...host,
    fileExists: file => file in files,
    directoryExists: () => true,
    readFile: file => files[file],
    getSourceFile: (file, language) =>
      files[file] === undefined ? undefined : ts.createSourceFile(file, files[file], language, true),
  })
}
const deadOf = (files: Readonly<Record<string, string>>): readonly string[] =>
  deadIn(readExports(programOf(files), '/'))

test('a sound tree has no dead export; a value, a type and a name of an index that nobody imports are found', () => {
  assert.deepEqual(deadOf(sound), [])
  for (const [file, more, found] of [
    ['/src/a/x.ts', 'export const unused = 1', 'src/a/x.ts: unused'],
    ['/src/a/x.ts', 'export type Unused = 1', 'src/a/x.ts: Unused'],
    ['/src/a/x.ts', "export { g } from './y.ts'", undefined],
    ['/src/b/z.ts', 'export const last = 1', 'src/b/z.ts: last'],
    [
      '/src/a/index.ts',
      "import { f as used } from './x.ts'\nused({ n: 1 })\nexport type { Options } from './x.ts'",
      'src/a/index.ts: Options',
    ],
  ] as const)
    assert.deepEqual(deadOf({ ...sound, [file]: `${sound[file]}\n${more}` }), found === undefined ? [] : [found])
})
