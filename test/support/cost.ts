import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import ts from 'typescript-5.9'

const root = fileURLToPath(new URL('../..', import.meta.url))
const tsc = path.join(path.dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')

/** The errors of a program, and the types that it instantiates above those of its import. */
export interface Cost {
  readonly errors: readonly string[]
  readonly instantiations: number
}

const options: ts.CompilerOptions = {
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  noEmit: true,
  module: ts.ModuleKind.NodeNext,
  target: ts.ScriptTarget.ES2023,
  lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
  types: ['node'],
  typeRoots: [path.join(root, 'node_modules', '@types')],
}

/**
 * Counts what TypeScript 5.9 instantiates for programs that import the library as `../src/index.ts`. As for a user, the
 * library is its declarations; they are checked before the program, so that they are no part of its cost.
 * @param programs the texts of the programs by the names of their files, which may import each other
 */
export const costsOf = async (programs: Readonly<Record<string, string>>): Promise<Readonly<Record<string, Cost>>> => {
  const cache = path.join(root, 'node_modules', '.cache', 'partensor-types')
  await mkdir(cache, { recursive: true })
  const folder = await mkdtemp(path.join(cache, 'cost-'))
  try {
    await writeFile(path.join(folder, 'package.json'), '{ "type": "module" }')
    const [declarations, beside] = [path.join(folder, 'src'), path.join(folder, 'examples')]
    // a module is looked for only in a folder that exists
    await mkdir(beside)
    const build = [tsc, '-p', path.join(root, 'tsconfig.build.json'), '--emitDeclarationOnly', '--outDir', declarations]
    await promisify(execFile)(process.execPath, build)
    const texts = new Map(
      Object.entries(programs).map(([name, text]) => [
        path.join(beside, name),
        text.replaceAll(/'(\.\.?\/[^']*)\.ts'/g, "'$1.js'"),
      ]),
    )
    const host = hostOf(texts)
    return Object.fromEntries(
      [...texts.keys()].map(file => [path.basename(file), cost(ts.createProgram([file], options, host), declarations)]),
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A host with files that are not on disk; each file is parsed once for all programs. */
const hostOf = (texts: ReadonlyMap<string, string>): ts.CompilerHost => {
  const host = ts.createCompilerHost(options)
  const parsed = new Map<string, ts.SourceFile | undefined>()
  return {
    ...host,
    fileExists: file => texts.has(file) || host.fileExists(file),
    readFile: file => texts.get(file) ?? host.readFile(file),
    getSourceFile: (file, language) => {
      const text = texts.get(file)
      if (!parsed.has(file))
        parsed.set(
          file,
          text === undefined ? host.getSourceFile(file, language) : ts.createSourceFile(file, text, language, true),
        )
      return parsed.get(file)
    },
  }
}

const cost = (program: ts.Program, declarations: string): Cost => {
  const file = program.getSourceFile(program.getRootFileNames()[0]!)!
  const imported = program.getSourceFiles().filter(({ fileName }) => fileName.startsWith(declarations))
  const check = (of: ts.SourceFile): readonly string[] =>
    program.getSemanticDiagnostics(of).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
  const before = imported.flatMap(check)
  const start = program.getInstantiationCount()
  return { errors: [...before, ...check(file)], instantiations: program.getInstantiationCount() - start }
}
