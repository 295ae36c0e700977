import path from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript-5.9'

// The public entries as a user's compiler sees them: by the declarations that are emitted for them.

const root = fileURLToPath(new URL('../../', import.meta.url))

/** A name of a public entry. Members of a namespace are listed as `schedule.cosine`. */
export interface PublicName {
  readonly name: string
  readonly isType: boolean
  /** The declaration, as the compiler emits it. */
  readonly signature: string
  /** The doc comment. */
  readonly doc: string
  readonly hasExample: boolean
  /** Types of the package that the declaration mentions, by their names here; those of no entry in parentheses. */
  readonly mentions: readonly string[]
}
/** A public entry: its name for users, and its names in order of the alphabet. */
export interface Entry {
  readonly name: string
  readonly names: readonly PublicName[]
}

/** The file that holds the public names with their signatures. */
export const apiFile = path.join(root, 'test', 'api.txt')
/** The entries that users import. */
export const publicEntries = (): readonly Entry[] => readEntries(['index', 'model', 'io', 'verify', 'cli', 'compiler'])

const aliased = (checker: ts.TypeChecker, symbol: ts.Symbol): ts.Symbol =>
  symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol

const exportsOf = (program: ts.Program, file: string): readonly (readonly [name: string, symbol: ts.Symbol])[] => {
  const checker = program.getTypeChecker()
  const module = checker.getSymbolAtLocation(program.getSourceFile(file)!)
  return membersOf(checker, module!, '')
}
/** Names of a module with what they stand for, namespaces and their members as well. */
const membersOf = (
  checker: ts.TypeChecker,
  module: ts.Symbol,
  prefix: string,
): readonly (readonly [name: string, symbol: ts.Symbol])[] =>
  checker.getExportsOfModule(module).flatMap(exported => {
    const symbol = aliased(checker, exported)
    const name = `${prefix}${exported.name}`
    return symbol.flags & ts.SymbolFlags.ValueModule
      ? membersOf(checker, symbol, `${name}.`)
      : [[name, symbol] as const]
  })

/** The statement or declaration that a symbol is written as. */
const statementsOf = (symbol: ts.Symbol): readonly ts.Node[] =>
  (symbol.declarations ?? []).map(found => (ts.isVariableDeclaration(found) ? found.parent.parent : found))

const isValue = (symbol: ts.Symbol): boolean => (symbol.flags & ts.SymbolFlags.Value) !== 0
/** A declaration without the words that every declaration has. */
const textOf = (statement: ts.Node): string => statement.getText().replace(/^(export )?(declare )?/, '')

/** Symbols that the types of a declaration mention, its own type parameters not among them. */
const mentioned = (checker: ts.TypeChecker, statement: ts.Node): readonly ts.Symbol[] => {
  const found = new Set<ts.Symbol>()
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) {
      const symbol = checker.getSymbolAtLocation(node)
      if (symbol !== undefined) found.add(aliased(checker, symbol))
    }
    ts.forEachChild(node, visit)
  }
  visit(statement)
  return [...found].filter(
    symbol => symbol.flags & (ts.SymbolFlags.TypeAlias | ts.SymbolFlags.Interface | ts.SymbolFlags.Class),
  )
}

/** The declarations of all sources, without comments, by the paths that they are built to. */
const emitted = (program: ts.Program): ReadonlyMap<string, string> => {
  const files = new Map<string, string>()
  program.emit(undefined, (file, text) => files.set(path.resolve(file), text), undefined, true)
  return files
}

/** A compiler's host that finds some files in memory. */
const hostOf = (options: ts.CompilerOptions, files: ReadonlyMap<string, string>): ts.CompilerHost => {
  const host = ts.createCompilerHost(options)
  return {
    ...host,
    fileExists: file => files.has(file) || host.fileExists(file),
    readFile: file => files.get(file) ?? host.readFile(file),
    directoryExists: folder =>
      [...files.keys()].some(file => file.startsWith(`${folder}/`)) || ts.sys.directoryExists(folder),
    getSourceFile: (file, language, ...more) => {
      const text = files.get(file)
      return text === undefined
        ? host.getSourceFile(file, language, ...more)
        : ts.createSourceFile(file, text, language, true)
    },
  }
}

/**
 * Reads entries of the package, `index` as `partensor` and others as `partensor/NAME`.
 * @example readEntries(['index', 'compiler'])[0]?.names.find(({ name }) => name === 'adamw')?.signature
 */
export const readEntries = (entries: readonly string[]): readonly Entry[] => {
  const { config } = ts.readConfigFile(path.join(root, 'tsconfig.build.json'), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  const sources = ts.createProgram(
    entries.map(name => path.join(root, 'src', `${name}.ts`)),
    { ...options, emitDeclarationOnly: true, noCheck: true, removeComments: true },
  )
  const files = emitted(sources)
  const built = (name: string): string => path.join(root, 'dist', `${name}.d.ts`)
  const declared = ts.createProgram(entries.map(built), { ...options, noEmit: true }, hostOf(options, files))
  const checker = declared.getTypeChecker()
  const isOurs = (symbol: ts.Symbol): boolean =>
    symbol.declarations?.some(found => files.has(found.getSourceFile().fileName)) ?? false
  const shown = entries.map(name => new Map(exportsOf(declared, built(name)).map(([own, symbol]) => [symbol, own])))
  return entries.map((entry, i) => {
    const documented = new Map(exportsOf(sources, path.join(root, 'src', `${entry}.ts`)))
    const nameOf = (symbol: ts.Symbol): string =>
      shown[i]!.get(symbol) ?? shown.find(names => names.has(symbol))?.get(symbol) ?? `(${symbol.name})`
    const names = [...shown[i]!].map(([symbol, name]): PublicName => {
      const statements = statementsOf(symbol)
      const source = documented.get(name)
      return {
        name,
        isType: !isValue(symbol),
        signature: statements.map(textOf).join('\n'),
        doc: ts.displayPartsToString(source?.getDocumentationComment(sources.getTypeChecker())),
        hasExample: source?.getJsDocTags().some(tag => tag.name === 'example') ?? false,
        mentions: statements.flatMap(found => mentioned(checker, found).filter(isOurs).map(nameOf)),
      }
    })
    return {
      name: entry === 'index' ? 'partensor' : `partensor/${entry}`,
      names: names.sort((a, b) => (a.name < b.name ? -1 : 1)),
    }
  })
}

const indented = (text: string): string => text.replace(/^(?=.)/gm, '  ').replaceAll('    ', '  ')
const section = (title: string, names: readonly PublicName[]): string =>
  [`# ${title}`, ...names.map(({ name, signature }) => `${name}\n${indented(signature)}`)].join('\n\n')

/** The names of some entries with their signatures, values before types: the text of `test/api.txt`. */
export const apiText = (entries: readonly Entry[]): string => {
  const sections = entries.flatMap(({ name, names }) => [
    section(
      `${name}: values`,
      names.filter(({ isType }) => !isType),
    ),
    section(
      `${name}: types`,
      names.filter(({ isType }) => isType),
    ),
  ])
  return `${sections.join('\n\n')}\n`
}
