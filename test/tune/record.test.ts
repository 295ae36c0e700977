import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { methodNames, recordOf, type MethodRecord } from '../../src/tune/index.ts'

const src = join(import.meta.dirname, '../../src')
const own = join('tune', 'method')
/** The figures that a paper states of methods, by their names. */
const ofPapers = join('program', 'reproduce')

/** Code without its comments. */
const codeOf = (text: string): string => text.replaceAll(/\/\*[^]*?\*\/|(?<![:'"`])\/\/.*/g, '')

/** Names of methods that a source writes as texts. */
const namesIn = (text: string): readonly string[] =>
  [...codeOf(text).matchAll(/(['"`])([a-z0-9]+)\1/g)].flatMap(([, , word]) =>
    methodNames.some(name => name === word) ? [word!] : [],
  )

test('no file outside of the methods knows a method by name', () => {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts'))
  assert.ok(files.length > 100)
  const named = files
    .filter(file => !file.startsWith(own) && !file.startsWith(ofPapers))
    .flatMap(file => namesIn(readFileSync(join(src, file), 'utf8')).map(name => `${file} knows ${name}`))
  assert.deepEqual(named, [])
  // a mutant that knows one, and a comment that may
  assert.deepEqual(namesIn("if (adapter.method === 'dora') addDora(sum) // or 'lora'"), ['dora'])
  assert.deepEqual(namesIn('/** @example methodOptions({ method: \'paca\' }) */\nconst x = "shira"'), ['shira'])
})

/** Faults of a record that its type cannot see. */
const faults = ({
  name,
  rank,
  takes,
  tensors,
  shared,
  change,
  lora,
  peft,
  besides,
  reach,
}: MethodRecord): readonly string[] => {
  const words = tensors.flatMap(form => Object.values(form).flatMap(({ sizes }) => sizes))
  const kept = new Set(tensors.flatMap(form => Object.keys(form)))
  const inPeft = peft && 'fields' in peft ? peft : undefined
  return [
    (rank === undefined) !== !takes.includes('rank') && `${name}: a rank is taken exactly if there is one`,
    rank === undefined && words.includes('r') && `${name}: a size is the rank of a method that has none`,
    change === 'factors' && 'none' in lora && `${name}: its change is a product of factors that there are not`,
    (change === 'values') !== kept.has('values') &&
      `${name}: values take the place of numbers exactly if they are kept`,
    Object.values(shared).some(({ from }) => from !== 'frozen') && `${name}: what all modules share is frozen`,
    reach === 'every' && besides && `${name}: what trains any leaf whole needs no second way to say so`,
    inPeft && [...kept].some(tensor => !inPeft.tensors[tensor]) && `${name}: PEFT has no name of a tensor`,
    inPeft &&
      Object.keys(inPeft.tensors).some(tensor => !kept.has(tensor)) &&
      `${name}: PEFT names a tensor that is not kept`,
    inPeft &&
      Object.keys(shared).join() !== Object.keys(inPeft.shared ?? {}).join() &&
      `${name}: what all modules share has its names in PEFT`,
  ].flatMap(fault => (typeof fault === 'string' ? [fault] : []))
}
test('the facets of a record agree with each other', () => {
  assert.deepEqual(
    methodNames.flatMap(name => faults(recordOf(name))),
    [],
  )
  const [lora, vera, paca] = [recordOf('lora'), recordOf('vera'), recordOf('paca')]
  const mutants: readonly MethodRecord[] = [
    { ...lora, rank: undefined },
    { ...lora, lora: { none: 'nothing' } },
    { ...paca, change: 'factors' },
    { ...vera, peft: { ...vera.peft!, shared: {} } as MethodRecord['peft'] },
    { ...lora, reach: 'every' },
  ]
  for (const mutant of mutants) assert.notDeepEqual(faults(mutant), [], mutant.name)
})
