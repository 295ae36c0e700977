import path from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript-5.9'
import { doors } from './pages.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** An export of a file of `src/`, and the files that import it, itself or by way of an index. */
export interface Exported {
  readonly file: string
  readonly name: string
  readonly isType: boolean
  readonly importedBy: readonly string[]
  /** Another export of its file has it in its declaration, so that it has to be nameable. */
  readonly isMentioned: boolean
}
/** The exports of `src/` as they are written, and those of the rooms' indices with the rooms and entries that import them. */
export interface Exports {
  readonly files: readonly Exported[]
  readonly indices: readonly Exported[]
}

const isIndex = (file: string): boolean => path.posix.basename(file) === 'index.ts'
/** A file of a room that others may import. */
const isDoor = (file: string): boolean =>
  /^src\/[^/]+\/index\.ts$/.test(file) || doors.some(door => file === `src/${door}`)
const isEntry = (file: string): boolean => /^src\/[^/]+\.ts$/.test(file)
const roomOf = (file: string): string => /^src\/([^/]+)\//.exec(file)?.[1] ?? file

/** A use of a name of a module: the file that uses it, and the module that it names. */
interface Use {
  readonly by: string
  readonly of: string
  readonly symbol: ts.Symbol
  /** The file only exports it again. */
  readonly isPassedOn: boolean
}

const originOf = (checker: ts.TypeChecker, symbol: ts.Symbol): ts.Symbol =>
  symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol

const usesIn = (
  checker: ts.TypeChecker,
  source: ts.SourceFile,
  nameOf: (file: ts.SourceFile) => string,
): readonly Use[] => {
  const by = nameOf(source)
  const uses: Use[] = []
  const use = (
    module: ts.Symbol | undefined,
    { name, isPassedOn = false }: { readonly name?: string; readonly isPassedOn?: boolean } = {},
  ): void => {
    const declared = module?.valueDeclaration
    if (module === undefined || declared === undefined || !ts.isSourceFile(declared)) return
    const of = nameOf(declared)
    for (const exported of checker.getExportsOfModule(module))
      if (name === undefined || exported.name === name)
        uses.push({ by, of, symbol: originOf(checker, exported), isPassedOn })
  }
  const visit = (node: ts.Node): void => {
    if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier !== undefined) {
      const module = checker.getSymbolAtLocation(node.moduleSpecifier)
      const isPassedOn = ts.isExportDeclaration(node) && !isEntry(by)
      const named = ts.isImportDeclaration(node) ? node.importClause?.namedBindings : node.exportClause
      if (named !== undefined && (ts.isNamedImports(named) || ts.isNamedExports(named)))
        for (const { name, propertyName } of named.elements)
          use(module, { name: (propertyName ?? name).text, isPassedOn })
      else use(module, { isPassedOn: isPassedOn && ts.isExportDeclaration(node) && node.exportClause === undefined })
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      use(checker.getSymbolAtLocation(node.arguments[0]!))
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      use(checker.getSymbolAtLocation(node.argument.literal))
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return uses
}

/** Names that the exported declarations of a file mention. */
const mentionsIn = (source: ts.SourceFile): ReadonlyMap<string, ReadonlySet<ts.Statement>> => {
  const found = new Map<string, Set<ts.Statement>>()
  for (const statement of source.statements) {
    const visit = (node: ts.Node): void => {
      if (ts.isIdentifier(node)) found.set(node.text, (found.get(node.text) ?? new Set()).add(statement))
      ts.forEachChild(node, visit)
    }
    visit(statement)
  }
  return found
}

/** The project as `tsc` reads it. */
export const wholeProject = (): ts.Program => {
  const { config } = ts.readConfigFile(path.join(root, 'tsconfig.json'), ts.sys.readFile)
  const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  return ts.createProgram(fileNames, options)
}

/** Reads every import of a program whose files lie in a folder. @example readExports(wholeProject()).files */
export const readExports = (program: ts.Program, folder = root): Exports => {
  const checker = program.getTypeChecker()
  const nameOf = (file: ts.SourceFile): string => path.relative(folder, file.fileName).split(path.sep).join('/')
  const sources = program.getSourceFiles().filter(file => !file.isDeclarationFile && !nameOf(file).startsWith('..'))
  const uses = sources.flatMap(source => usesIn(checker, source, nameOf))
  const users = new Map<ts.Symbol, Set<string>>()
  const across = new Map<string, Set<string>>()
  for (const { by, of, symbol, isPassedOn } of uses) {
    if (!isPassedOn) users.set(symbol, (users.get(symbol) ?? new Set()).add(by))
    const key = `${of} ${symbol.name}`
    if (roomOf(by) !== roomOf(of)) across.set(key, (across.get(key) ?? new Set()).add(by))
  }
  const exportsOf = (source: ts.SourceFile): readonly ts.Symbol[] => {
    const module = checker.getSymbolAtLocation(source)
    return module === undefined ? [] : checker.getExportsOfModule(module)
  }
  const isType = (symbol: ts.Symbol): boolean => (symbol.flags & ts.SymbolFlags.Value) === 0
  const inSrc = sources.filter(source => nameOf(source).startsWith('src/') && !isEntry(nameOf(source)))
  return {
    files: inSrc
      .filter(source => !isIndex(nameOf(source)))
      .flatMap(source => {
        const mentions = mentionsIn(source)
        return exportsOf(source)
          .filter(symbol => !(symbol.flags & ts.SymbolFlags.Alias))
          .map((symbol): Exported => ({
            file: nameOf(source),
            name: symbol.name,
            isType: isType(symbol),
            importedBy: [...(users.get(symbol) ?? [])].filter(by => by !== nameOf(source)),
            isMentioned: (mentions.get(symbol.name)?.size ?? 0) > 1,
          }))
      }),
    indices: inSrc
      .filter(source => isDoor(nameOf(source)))
      .flatMap(source =>
        // a further door may also define names, which count as those of any file
        exportsOf(source)
          .filter(symbol => isIndex(nameOf(source)) || (symbol.flags & ts.SymbolFlags.Alias) !== 0)
          .map((symbol): Exported => {
            const origin = originOf(checker, symbol)
            return {
              file: nameOf(source),
              name: symbol.name,
              isType: isType(origin),
              importedBy: [...(across.get(`${nameOf(source)} ${origin.name}`) ?? [])].filter(by =>
                by.startsWith('src/'),
              ),
              isMentioned: false,
            }
          }),
      ),
  }
}
