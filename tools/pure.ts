import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript-5.9'

/**
 * The last step of `npm run build`: marks every call that runs when a module of `dist/` is loaded as pure, so that a
 * bundler leaves out the ops, layers and methods that a program does not use. Modules are pure, as `sideEffects` of
 * package.json says; the few that it lists are left alone.
 */

const mark = '/* @__PURE__ */ '

/** The positions of calls that run when a module is loaded. */
const callsIn = (file: ts.SourceFile): readonly number[] => {
  const found: number[] = []
  const visit = (node: ts.Node): void => {
    // what a function or a method does is done later
    if (ts.isFunctionLike(node)) return
    if (ts.isCallExpression(node) || ts.isNewExpression(node)) {
      // the mark stands before the whole expression, which may be a member of what another call returns
      if (node.expression.kind !== ts.SyntaxKind.ImportKeyword) found.push(node.getStart(file))
    }
    ts.forEachChild(node, visit)
  }
  for (const statement of file.statements) if (ts.isVariableStatement(statement)) visit(statement)
  return [...new Set(found)]
}

/** The code of a module with its marks. @example marked('const f = g()') // const f = /* @__PURE__ *\/ g() */
export const marked = (source: string): string => {
  const file = ts.createSourceFile('module.js', source, ts.ScriptTarget.ES2023, true, ts.ScriptKind.JS)
  return callsIn(file)
    .toSorted((a, b) => b - a)
    .reduce((text, at) => `${text.slice(0, at)}${mark}${text.slice(at)}`, source)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const { sideEffects }: { readonly sideEffects: readonly string[] } = JSON.parse(
    readFileSync(path.join(root, 'package.json'), 'utf8'),
  )
  for (const name of readdirSync(path.join(root, 'dist'), { recursive: true, encoding: 'utf8' })) {
    const file = path.join(root, 'dist', name)
    if (name.endsWith('.js') && !sideEffects.includes(`./dist/${name.split(path.sep).join('/')}`))
      writeFileSync(file, marked(readFileSync(file, 'utf8')))
  }
}
