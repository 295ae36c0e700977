import * as E from 'fp-ts/lib/Either.js'
import { Command } from 'commander'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compileProject } from '../compiled.ts'
import { allDigits, digitsFolder, fewDigits } from './data.ts'
import { digitsPeer } from './peer.ts'
import { prepare, scoreMethods, timeMethods, type Plan } from './phases.ts'
import { resultsIn } from './recording.ts'
import { digitsTable } from './results.ts'
import { methodNames, modelNames } from './settings.ts'

const phases = ['accuracy', 'time'] as const
const command = new Command('digits')
  .description('Fine-tunes a ViT and EfficientNet-Lite0 on real digits with four methods, beside PyTorch.')
  .option('--quick', 'few digits, two steps, one method, in a temporary folder: shows that everything runs', false)
  .option('--only <phase>', `${phases.join(' or ')} (default: both)`)
  .option('--models <names...>', `some of: ${modelNames.join(', ')} (default: all)`)
  .option('--methods <names...>', `some of: ${methodNames.join(', ')} (default: all)`)
  .option('--out <file>', 'where the JSON goes; what the file already holds is not measured again')
  .parse()
const {
  quick,
  only,
  models = modelNames,
  methods = quick ? ['paca'] : methodNames,
  out,
} = command.opts<{
  readonly quick: boolean
  readonly only?: string
  readonly models?: readonly string[]
  readonly methods?: readonly string[]
  readonly out?: string
}>()
const checkNames = (option: string, known: readonly string[], given: readonly string[]): void => {
  const unknown = given.find(name => !known.includes(name))
  if (unknown !== undefined) command.error(`--${option} ${unknown}: there are ${known.join(', ')}`)
}
checkNames('only', phases, only === undefined ? [] : [only])
checkNames('models', modelNames, models)
checkNames('methods', methodNames, methods)

const say = (text: string): void => console.error(text)
const folder = quick ? await mkdtemp(join(tmpdir(), 'partensor-digits-')) : digitsFolder()
const common = {
  folder,
  models: modelNames.filter(name => models.includes(name)),
  methods: methodNames.filter(name => methods.includes(name)),
  say,
}
const plan: Plan = quick
  ? {
      ...common,
      parts: fewDigits,
      pretraining: 2,
      steps: 2,
      batch: 8,
      seeds: [0],
      searches: false,
      span: { warmUp: 1, least: 1, most: 1, milliseconds: 0 },
    }
  : {
      ...common,
      parts: allDigits,
      pretraining: 1000,
      steps: 100,
      batch: 32,
      seeds: [0, 1, 2],
      searches: true,
      span: { warmUp: 2, least: 5, most: 20, milliseconds: 3000 },
    }

try {
  const peer = await digitsPeer(say)
  if (E.isLeft(peer)) throw new Error(peer.left)
  say('compiling the project')
  compileProject()
  const results = await resultsIn(out, plan)
  await prepare(plan, peer.right)
  if (only !== 'time') await scoreMethods(plan, results)
  if (only !== 'accuracy') await timeMethods(plan, peer.right, results)
  console.log(digitsTable(results.now()))
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
} finally {
  if (quick) await rm(folder, { recursive: true, force: true })
}
