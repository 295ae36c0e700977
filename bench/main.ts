import { Command } from 'commander'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Case, Findings } from './cases/case.ts'
import { certificate } from './cases/certificate.ts'
import { descent } from './cases/descent.ts'
import { graph } from './cases/graph.ts'
import { images } from './cases/images.ts'
import { memory } from './cases/memory.ts'
import { methods } from './cases/methods.ts'
import { peers } from './cases/peers.ts'
import { profile } from './cases/profile.ts'
import { pytorch } from './cases/pytorch.ts'
import { small } from './cases/small.ts'
import { smolLM2Steps } from './cases/smollm2.ts'
import { startup } from './cases/startup.ts'
import { steadiness } from './cases/steadiness.ts'
import { types } from './cases/types.ts'
import { vision } from './cases/vision.ts'
import { compileProject } from './compiled.ts'
import { machine, versions } from './machine.ts'
import { alternate, failuresOf, type Outcome } from './measure.ts'
import { markdown, tableOf } from './table.ts'

const cases: readonly Case[] = [
  peers,
  small,
  pytorch,
  ...vision,
  ...methods,
  ...memory,
  descent,
  smolLM2Steps,
  images,
  startup,
  graph,
  steadiness,
  certificate,
  types,
  profile,
]

const describe = ({ name, about, optional }: Case): string =>
  `  ${name.padEnd(13)} ${about}${optional === true ? ' (not with --quick)' : ''}`

const command = new Command('bench')
  .description('Measures Partensor beside its peers in one run, alternating, every measurement in a fresh process.')
  .option('--quick', 'a smoke run of a few minutes: small shapes, one round, no bound is held', false)
  .option('--only <names...>', `some of: ${cases.map(({ name }) => name).join(', ')}`)
  .option('--rounds <n>', 'rounds of every comparison', Number)
  .option('--out <file>', 'where the JSON goes (default: bench/results/<date>-<machine>.json, nowhere with --quick)')
  .addHelpText('after', ['', ...cases.map(describe)].join('\n'))
  .parse()
const {
  quick,
  only,
  rounds = quick ? 1 : 3,
  out,
} = command.opts<{ quick: boolean; only?: string[]; rounds?: number; out?: string }>()
const unknown = only?.filter(name => cases.every(one => one.name !== name)) ?? []
if (unknown.length > 0)
  command.error(`there is no case ${unknown.join(', ')}: there are ${cases.map(({ name }) => name).join(', ')}`)
if (!(Number.isInteger(rounds) && rounds >= 1)) command.error('--rounds takes a whole number from 1')

/** The load average above which figures are not to be trusted. */
const busy = 0.5
const say = (text: string): void => console.error(text)
const chosen = cases.filter(({ name, optional }) => (only ? only.includes(name) : !(quick && optional === true)))
say('compiling the project')
compileProject()
const started = new Date()
const where = machine()
const packages = versions()
if (where.loadBefore > busy)
  say(`load ${where.loadBefore.toFixed(2)}: the machine is busy, which slows contenders by very different factors`)
const findings: Findings[] = []
const outcomes: (readonly [string, Outcome])[] = []
const failures: string[] = []
/** Continuous integration has all that peers need to be installed. */
const installsAll = process.env['CI'] === 'true'
for (const { name, run } of chosen) {
  say(`${name}:`)
  const note = (text: string): void => say(`  ${text}`)
  findings.push(
    await run({
      quick,
      say: note,
      alternate: async (contenders, most = rounds) => {
        const found = await alternate(contenders, most, note)
        outcomes.push(...found)
        failures.push(...failuresOf(contenders, found, installsAll))
        return found
      },
    }),
  )
}
// small shapes and few steps say nothing of a bound
const rows = findings.flatMap(found => found.rows).map(row => (quick ? { ...row, asked: '', met: undefined } : row))
const tables = findings.flatMap(found => found.tables)

const { processor, cores, instructions, memoryMegabytes, system, loadBefore } = where
console.log(
  `${processor}, ${cores} cores (${instructions.join(', ')}), ${Math.round(memoryMegabytes / 1000)} GB, ${system}; load before the run ${loadBefore.toFixed(2)}`,
)
console.log(
  `${Object.entries(packages)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ')}; ${quick ? 'quick, ' : ''}rounds: ${rounds}\n`,
)
if (rows.length > 0) console.log(tableOf(rows))
for (const { title, parts } of tables) {
  const sorted = Object.entries(parts).sort(([, a], [, b]) => b - a)
  const total = sorted.reduce((sum, [, time]) => sum + time, 0)
  const lines = sorted
    .filter(([, time]) => time >= 0.1)
    .map(([part, time]) => [part, time.toFixed(1), `${((100 * time) / total).toFixed(1)}%`])
  console.log(`\n${title} (sum ${total.toFixed(0)}):\n\n${markdown(['part', 'ms', 'share'], lines)}`)
}

const label = `${processor} ${cores}`.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')
const date = started.toISOString()
const file = out ?? (quick ? undefined : join('bench', 'results', `${date.slice(0, 10)}-${label}.json`))
if (file !== undefined) {
  await mkdir(dirname(file), { recursive: true })
  const measured = Object.fromEntries(outcomes)
  const result = { date, quick, rounds, machine: where, versions: packages, rows, tables, measured }
  await writeFile(file, `${JSON.stringify(result, undefined, 2)}\n`)
  say(`written to ${file}`)
}
for (const failure of failures) say(`not measured: ${failure}`)
if (failures.length > 0) process.exitCode = 1
