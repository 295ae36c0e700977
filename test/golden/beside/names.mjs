// Adds the names of jax-js to names.json: npm install @jax-js/jax@0.1.25, then node names.mjs FOLDER-OF-node_modules
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

const folder = path.resolve(process.argv[2] ?? '.', 'node_modules', '@jax-js', 'jax')
const jax = await import(pathToFileURL(path.join(folder, 'dist', 'index.js')).href)
const file = new URL('names.json', import.meta.url)
const names = JSON.parse(readFileSync(file, 'utf8'))
const functionsOf = part => Object.keys(part).filter(name => typeof part[name] === 'function').sort()
names.versions['jax-js'] = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')).version
names['jax-js numpy'] = functionsOf(jax.numpy)
names['jax-js numpy.linalg'] = functionsOf(jax.numpy.linalg)
names['jax-js nn'] = functionsOf(jax.nn)
names['jax-js lax'] = functionsOf(jax.lax)
names['jax-js lax.linalg'] = functionsOf(jax.lax.linalg)
writeFileSync(file, `${JSON.stringify(names, null, 1)}\n`)
process.exit()
