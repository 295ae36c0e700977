import { readdirSync } from 'node:fs'

/** Runs a soak by name: `npm run soak -- NAME [its arguments]`. */
const names = readdirSync(import.meta.dirname).flatMap(file =>
  file.endsWith('.ts') && file !== 'main.ts' ? [file.replace(/\.ts$/, '')] : [],
)
const [, , name = ''] = process.argv
if (names.includes(name)) {
  process.argv.splice(2, 1)
  await import(`./${name}.ts`)
} else {
  console.error(`there is no soak ${JSON.stringify(name)}: expected ${names.join(' or ')}`)
  process.exitCode = 1
}
